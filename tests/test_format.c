/*
 * tests/test_format.c: tensors as text. The expected texts are numpy's own: those of
 * numpy.array2string(x, precision=4) in numpy 2.4.
 */
#include "support.h"
#include <locale.h>
#include <math.h>
#include <minnow/tensor.h>
#include <stdlib.h>
#include <string.h>

typedef struct example {
    mn_dtype dtype;
    int ndim;
    int64_t shape[5];
    double values[8];
    const char *text;
} example;

static const example examples[] = {
    {MN_F32, 0, {0}, {0.6931472}, "0.6931"},
    {MN_F64, 0, {0}, {-2.5}, "-2.5"},
    {MN_F64, 0, {0}, {NAN}, "nan"},
    {MN_F32, 0, {0}, {-INFINITY}, "-inf"},
    {MN_I64, 0, {0}, {7}, "7"},
    {MN_BOOL, 0, {0}, {1}, "True"},
    {MN_F64, 0, {0}, {1e-07}, "1.e-07"},
    {MN_F32, 0, {0}, {-0.0}, "-0."},
    {MN_F32, 1, {3}, {1, 2, 3}, "[1. 2. 3.]"},
    {MN_F32,
     2,
     {2, 2},
     {1, 2, 3, 4},
     "[[1. 2.]\n"
     " [3. 4.]]"},
    {MN_F64, 1, {3}, {1, 2.5, -3.25}, "[ 1.    2.5  -3.25]"},
    {MN_F64, 1, {2}, {1.00001, 2}, "[1. 2.]"},
    {MN_F32, 1, {3}, {0.1, 0.25, 0.33333334}, "[0.1    0.25   0.3333]"},
    {MN_F64, 1, {2}, {0.03125, 0.09375}, "[0.0312 0.0938]"},
    {MN_F32, 1, {2}, {12345.678, 54.3}, "[12345.678    54.3  ]"},
    {MN_F64, 1, {2}, {12345.678, 54.3}, "[12345.678    54.3  ]"},
    {MN_F64, 1, {2}, {9.99996, 1}, "[10.  1.]"},
    {MN_F32, 1, {2}, {1e+06, 2e+06}, "[1.e+06 2.e+06]"},
    {MN_F32, 1, {2}, {999999, 200000}, "[999999. 200000.]"},
    {MN_F64, 1, {2}, {100000000, 1}, "[1.e+08 1.e+00]"},
    {MN_F64, 1, {2}, {100000000, 200000000}, "[1.e+08 2.e+08]"},
    {MN_F64, 1, {2}, {99999999, 99999998}, "[99999999. 99999998.]"},
    {MN_F64, 1, {2}, {0.0001, 0.0002}, "[0.0001 0.0002]"},
    {MN_F32, 1, {2}, {1e-04, 0.0002}, "[0.0001 0.0002]"},
    {MN_F64, 1, {2}, {9e-05, 0.0001}, "[9.e-05 1.e-04]"},
    {MN_F64, 1, {2}, {1, 1000}, "[   1. 1000.]"},
    {MN_F64, 1, {2}, {1, 1001}, "[1.000e+00 1.001e+03]"},
    {MN_F32, 1, {3}, {0, 1e-10, 0}, "[0.e+00 1.e-10 0.e+00]"},
    {MN_F64, 1, {3}, {1e-300, 1, -1e+300}, "[ 1.e-300  1.e+000 -1.e+300]"},
    {MN_F64, 1, {2}, {5e-324, 1.25}, "[4.94e-324 1.25e+000]"},
    {MN_F32, 1, {2}, {1e-45, 1.125}, "[1.401e-45 1.125e+00]"},
    {MN_F32, 1, {1}, {3.4028235e+38}, "[3.4028e+38]"},
    {MN_F64, 1, {2}, {0, -0.0}, "[ 0. -0.]"},
    {MN_F32, 1, {2}, {0.5, 0}, "[0.5 0. ]"},
    {MN_F32, 1, {3}, {NAN, 1, INFINITY}, "[nan  1. inf]"},
    {MN_F64, 1, {3}, {NAN, -1.5, -INFINITY}, "[ nan -1.5 -inf]"},
    {MN_F64, 1, {3}, {NAN, INFINITY, -INFINITY}, "[ nan  inf -inf]"},
    {MN_F32, 1, {2}, {NAN, NAN}, "[nan nan]"},
    {MN_F64, 1, {3}, {10000000000, NAN, -INFINITY}, "[1.e+10    nan   -inf]"},
    {MN_F64, 1, {3}, {1, 10.5, NAN}, "[ 1.  10.5  nan]"},
    {MN_I64, 1, {3}, {1, -20, 300}, "[  1 -20 300]"},
    {MN_U8,
     2,
     {2, 2},
     {0, 128, 255, 7},
     "[[  0 128]\n"
     " [255   7]]"},
    {MN_BOOL, 1, {2}, {1, 0}, "[ True False]"},
    {MN_BOOL,
     2,
     {2, 1},
     {1, 1},
     "[[ True]\n"
     " [ True]]"},
    {MN_F32, 1, {0}, {0}, "[]"},
    {MN_F32, 3, {3, 0, 2}, {0}, "[]"},
    {MN_F64, 3, {1, 1, 0}, {0}, "[]"},
    {MN_I64,
     3,
     {2, 2, 2},
     {0, 1, 2, 3, 4, 5, 6, 7},
     "[[[0 1]\n"
     "  [2 3]]\n"
     "\n"
     " [[4 5]\n"
     "  [6 7]]]"},
    {MN_F32,
     5,
     {2, 1, 2, 1, 2},
     {0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75},
     "[[[[[0.   0.25]]\n"
     "\n"
     "   [[0.5  0.75]]]]\n"
     "\n"
     "\n"
     "\n"
     " [[[[1.   1.25]]\n"
     "\n"
     "   [[1.5  1.75]]]]]"},
};

/* Element i is start + i * step, modulo `modulo` when that is not 0. */
typedef struct ramp {
    mn_dtype dtype;
    int ndim;
    int64_t shape[5];
    double start, step;
    int64_t modulo;
    const char *text;
} ramp;

static const ramp ramps[] = {
    {MN_F32,
     1,
     {30},
     0,
     1,
     0,
     "[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17.\n"
     " 18. 19. 20. 21. 22. 23. 24. 25. 26. 27. 28. 29.]"},
    {MN_F64,
     2,
     {2, 13},
     0.125,
     1,
     0,
     "[[ 0.125  1.125  2.125  3.125  4.125  5.125  6.125  7.125  8.125  9.125\n"
     "  10.125 11.125 12.125]\n"
     " [13.125 14.125 15.125 16.125 17.125 18.125 19.125 20.125 21.125 22.125\n"
     "  23.125 24.125 25.125]]"},
    {MN_I64,
     2,
     {2, 20},
     0,
     1000,
     0,
     "[[    0  1000  2000  3000  4000  5000  6000  7000  8000  9000 10000 11000\n"
     "  12000 13000 14000 15000 16000 17000 18000 19000]\n"
     " [20000 21000 22000 23000 24000 25000 26000 27000 28000 29000 30000 31000\n"
     "  32000 33000 34000 35000 36000 37000 38000 39000]]"},
    {MN_BOOL,
     2,
     {2, 18},
     0,
     1,
     2,
     "[[False  True False  True False  True False  True False  True False  True\n"
     "  False  True False  True False  True]\n"
     " [False  True False  True False  True False  True False  True False  True\n"
     "  False  True False  True False  True]]"},
    {MN_F64,
     1,
     {14},
     -1.625,
     0.25,
     0,
     "[-1.625 -1.375 -1.125 -0.875 -0.625 -0.375 -0.125  0.125  0.375  0.625\n"
     "  0.875  1.125  1.375  1.625]"},
    {MN_F64,
     1,
     {18},
     1,
     1,
     0,
     "[ 1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17. 18.]"},
    {MN_F64,
     1,
     {19},
     1,
     1,
     0,
     "[ 1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17. 18.\n"
     " 19.]"},
    {MN_I64,
     1,
     {20},
     1000,
     1,
     0,
     "[1000 1001 1002 1003 1004 1005 1006 1007 1008 1009 1010 1011 1012 1013\n"
     " 1014 1015 1016 1017 1018 1019]"},
    {MN_I64,
     3,
     {1, 1, 30},
     0,
     1,
     0,
     "[[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22\n"
     "   23 24 25 26 27 28 29]]]"},
    {MN_F32,
     5,
     {2, 1, 2, 1, 3},
     0,
     0.25,
     0,
     "[[[[[0.   0.25 0.5 ]]\n"
     "\n"
     "   [[0.75 1.   1.25]]]]\n"
     "\n"
     "\n"
     "\n"
     " [[[[1.5  1.75 2.  ]]\n"
     "\n"
     "   [[2.25 2.5  2.75]]]]]"},
    {MN_I64, 1, {1001}, 0, 1, 0, "[   0    1    2 ...  998  999 1000]"},
    {MN_F64,
     2,
     {1001, 4},
     0,
     0.125,
     0,
     "[[0.0000e+00 1.2500e-01 2.5000e-01 3.7500e-01]\n"
     " [5.0000e-01 6.2500e-01 7.5000e-01 8.7500e-01]\n"
     " [1.0000e+00 1.1250e+00 1.2500e+00 1.3750e+00]\n"
     " ...\n"
     " [4.9900e+02 4.9912e+02 4.9925e+02 4.9938e+02]\n"
     " [4.9950e+02 4.9962e+02 4.9975e+02 4.9988e+02]\n"
     " [5.0000e+02 5.0012e+02 5.0025e+02 5.0038e+02]]"},
    {MN_I64,
     2,
     {501, 2},
     0,
     1,
     7,
     "[[0 1]\n"
     " [2 3]\n"
     " [4 5]\n"
     " ...\n"
     " [2 3]\n"
     " [4 5]\n"
     " [6 0]]"},
    {MN_I64,
     3,
     {12, 7, 12},
     0,
     1,
     0,
     "[[[   0    1    2 ...    9   10   11]\n"
     "  [  12   13   14 ...   21   22   23]\n"
     "  [  24   25   26 ...   33   34   35]\n"
     "  ...\n"
     "  [  48   49   50 ...   57   58   59]\n"
     "  [  60   61   62 ...   69   70   71]\n"
     "  [  72   73   74 ...   81   82   83]]\n"
     "\n"
     " [[  84   85   86 ...   93   94   95]\n"
     "  [  96   97   98 ...  105  106  107]\n"
     "  [ 108  109  110 ...  117  118  119]\n"
     "  ...\n"
     "  [ 132  133  134 ...  141  142  143]\n"
     "  [ 144  145  146 ...  153  154  155]\n"
     "  [ 156  157  158 ...  165  166  167]]\n"
     "\n"
     " [[ 168  169  170 ...  177  178  179]\n"
     "  [ 180  181  182 ...  189  190  191]\n"
     "  [ 192  193  194 ...  201  202  203]\n"
     "  ...\n"
     "  [ 216  217  218 ...  225  226  227]\n"
     "  [ 228  229  230 ...  237  238  239]\n"
     "  [ 240  241  242 ...  249  250  251]]\n"
     "\n"
     " ...\n"
     "\n"
     " [[ 756  757  758 ...  765  766  767]\n"
     "  [ 768  769  770 ...  777  778  779]\n"
     "  [ 780  781  782 ...  789  790  791]\n"
     "  ...\n"
     "  [ 804  805  806 ...  813  814  815]\n"
     "  [ 816  817  818 ...  825  826  827]\n"
     "  [ 828  829  830 ...  837  838  839]]\n"
     "\n"
     " [[ 840  841  842 ...  849  850  851]\n"
     "  [ 852  853  854 ...  861  862  863]\n"
     "  [ 864  865  866 ...  873  874  875]\n"
     "  ...\n"
     "  [ 888  889  890 ...  897  898  899]\n"
     "  [ 900  901  902 ...  909  910  911]\n"
     "  [ 912  913  914 ...  921  922  923]]\n"
     "\n"
     " [[ 924  925  926 ...  933  934  935]\n"
     "  [ 936  937  938 ...  945  946  947]\n"
     "  [ 948  949  950 ...  957  958  959]\n"
     "  ...\n"
     "  [ 972  973  974 ...  981  982  983]\n"
     "  [ 984  985  986 ...  993  994  995]\n"
     "  [ 996  997  998 ... 1005 1006 1007]]]"},
    {MN_F64,
     2,
     {2, 1000},
     0,
     1,
     0,
     "[[0.000e+00 1.000e+00 2.000e+00 ... 9.970e+02 9.980e+02 9.990e+02]\n"
     " [1.000e+03 1.001e+03 1.002e+03 ... 1.997e+03 1.998e+03 1.999e+03]]"},
    {MN_U8,
     2,
     {6, 200},
     0,
     1,
     256,
     "[[  0   1   2 ... 197 198 199]\n"
     " [200 201 202 ... 141 142 143]\n"
     " [144 145 146 ...  85  86  87]\n"
     " [ 88  89  90 ...  29  30  31]\n"
     " [ 32  33  34 ... 229 230 231]\n"
     " [232 233 234 ... 173 174 175]]"},
    {MN_F32,
     1,
     {1500},
     -1000000,
     1,
     0,
     "[-1.000e+06 -1.000e+06 -1.000e+06 ... -9.985e+05 -9.985e+05 -9.985e+05]"},
};

/* With array2string's options precision, threshold, edgeitems and max_line_width. */
static const struct {
    ramp r;
    mn_format_opts opts;
} choices[] = {
    {{MN_F32,
      2,
      {3, 4},
      0.123456,
      1.7,
      0,
      "[[ 0.12  1.82  3.52  5.22]\n"
      " [ 6.92  8.62 10.32 12.02]\n"
      " [13.72 15.42 17.12 18.82]]"},
     {.precision = 2}},
    {{MN_F64,
      2,
      {2, 3},
      -1.23456789,
      0.3333333333,
      0,
      "[[-1.23456789 -0.90123456 -0.56790122]\n"
      " [-0.23456789  0.09876544  0.43209878]]"},
     {.precision = 8}},
    {{MN_F64, 1, {5}, 0.25, 0.5, 0, "[0. 1. 1. 2. 2.]"}, {.precision = -1}},
    {{MN_F64,
      2,
      {2, 2},
      0.1,
      0.2,
      0,
      "[[0.1                 0.30000000000000004]\n"
      " [0.5                 0.7000000000000001 ]]"},
     {.precision = 17}},
    {{MN_F64, 1, {4}, 0.0004, 0.0003, 0, "[0. 0. 0. 0.]"}, {.precision = 2}},
    {{MN_F64, 1, {4}, 0.0004, 0.0003, 0, "[0.    0.001 0.001 0.001]"}, {.precision = 3}},
    {{MN_F32, 1, {3}, 1e-07, 0.003, 0, "[1.e-07 3.e-03 6.e-03]"}, {.precision = 1}},
    {{MN_F64, 1, {3}, 1000000000.0, 333333333.3333333, 0, "[1.e+09 1.e+09 2.e+09]"},
     {.precision = -1}},
    {{MN_F64,
      1,
      {3},
      1000000000.0,
      333333333.3333333,
      0,
      "[1.000000000000e+09 1.333333333333e+09 1.666666666667e+09]"},
     {.precision = 12}},
    {{MN_I64,
      2,
      {4, 5},
      0,
      37,
      0,
      "[[  0 ... 148]\n"
      " ...\n"
      " [555 ... 703]]"},
     {.threshold = 10, .edge_items = 1}},
    {{MN_F32, 1, {3}, 1, 1, 0, "[1. ... 3.]"}, {.threshold = -1, .edge_items = 1}},
    {{MN_U8,
      3,
      {2, 3, 7},
      0,
      9,
      256,
      "[[[  0   9 ...  45  54]\n"
      "  [ 63  72 ... 108 117]\n"
      "  [126 135 ... 171 180]]\n"
      "\n"
      " [[189 198 ... 234 243]\n"
      "  [252   5 ...  41  50]\n"
      "  [ 59  68 ... 104 113]]]"},
     {.threshold = 20, .edge_items = 2, .line_width = 30}},
    {{MN_F64,
      1,
      {30},
      0,
      1.25,
      0,
      "[ 0.   1.2  2.5  3.8  5.   6.2  7.5\n"
      "  8.8 10.  11.2 12.5 13.8 15.  16.2\n"
      " 17.5 18.8 20.  21.2 22.5 23.8 25.\n"
      " 26.2 27.5 28.8 30.  31.2 32.5 33.8\n"
      " 35.  36.2]"},
     {.precision = 1, .line_width = 40}},
    {{MN_I64,
      2,
      {2, 12},
      0,
      1000,
      0,
      "[[    0  1000  2000\n"
      "   3000  4000  5000\n"
      "   6000  7000  8000\n"
      "   9000 10000 11000]\n"
      " [12000 13000 14000\n"
      "  15000 16000 17000\n"
      "  18000 19000 20000\n"
      "  21000 22000 23000]]"},
     {.line_width = 24}},
    {{MN_BOOL,
      1,
      {6},
      0,
      1,
      2,
      "[False\n"
      "  True\n"
      " False\n"
      "  True\n"
      " False\n"
      "  True]"},
     {.line_width = 8}},
    {{MN_F32,
      2,
      {2, 4},
      -1000,
      333.3,
      0,
      "[[-1.000e+03\n"
      "  -6.667e+02\n"
      "  -3.334e+02\n"
      "  -1.000e-01]\n"
      " [ 3.332e+02\n"
      "   6.665e+02\n"
      "   9.998e+02\n"
      "   1.333e+03]]"},
     {.precision = 3, .threshold = 5, .edge_items = 3, .line_width = 1}},
    {{MN_I64, 1, {12}, 0, 1, 0, "[ 0  1  2  3  4 ...  7  8  9 10 11]"},
     {.threshold = 11, .edge_items = 5}},
    {{MN_I64, 1, {11}, 0, 1, 0, "[ 0  1  2  3  4  5  6  7  8  9 10]"},
     {.threshold = 10, .edge_items = 9}},
};

static void store(mn_dtype dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
    case MN_F32:
        ((float *)data)[i] = (float)value;
        break;
    case MN_F64:
        ((double *)data)[i] = value;
        break;
    case MN_I64:
        ((int64_t *)data)[i] = (int64_t)value;
        break;
    case MN_U8:
    case MN_BOOL:
        ((unsigned char *)data)[i] = (unsigned char)value;
        break;
    }
}

static mn_tensor *example_tensor(const example *e)
{
    mn_tensor *x = mn_tensor_empty(e->dtype, e->ndim, e->shape);
    ck_assert_ptr_nonnull(x);
    void *data = mn_tensor_mutable_data(x);
    for (int64_t i = 0; i < mn_tensor_numel(x); i++) store(e->dtype, data, i, e->values[i]);
    return x;
}

static mn_tensor *ramp_tensor(const ramp *r)
{
    mn_tensor *x = mn_tensor_empty(r->dtype, r->ndim, r->shape);
    void *data = mn_tensor_mutable_data(x);
    for (int64_t k = 0; k < mn_tensor_numel(x); k++) {
        double value = r->start + r->step * (double)k;
        store(r->dtype, data, k, r->modulo ? fmod(value, (double)r->modulo) : value);
    }
    return x;
}

/* Releases x. */
static void check_text_with(mn_tensor *x, const char *expected, const mn_format_opts *opts)
{
    size_t size = strlen(expected) + 1;
    char *text = malloc(size);
    size_t length = mn_tensor_format_with(x, text, size, opts);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(length, size - 1);
    free(text);
    mn_release(x);
}

static void check_text(mn_tensor *x, const char *expected)
{
    check_text_with(x, expected, NULL);
}

START_TEST(tensors_print_as_in_numpy)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        check_text(example_tensor(&examples[i]), examples[i].text);
}
END_TEST

START_TEST(long_tensors_are_wrapped_and_summarised_as_in_numpy)
{
    for (size_t i = 0; i < sizeof ramps / sizeof *ramps; i++)
        check_text(ramp_tensor(&ramps[i]), ramps[i].text);
}
END_TEST

START_TEST(options_are_numpys)
{
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        check_text_with(ramp_tensor(&choices[i].r), choices[i].r.text, &choices[i].opts);
}
END_TEST

START_TEST(a_header_says_dtype_shape_and_requires_grad)
{
    const mn_format_opts header = {.header = true};
    mn_tensor *x = mn_tensor_full(MN_F32, 2, (int64_t[]){1, 2}, 0.5);
    check_text_with(mn_retain(x), "f32 [1, 2]\n[[0.5 0.5]]", &header);
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    check_text_with(x, "f32 [1, 2] requires_grad\n[[0.5 0.5]]", &header);
    check_text_with(mn_tensor_ones(MN_BOOL, 0, NULL), "bool []\nTrue", &header);
    check_text_with(mn_tensor_ones(MN_I64, 2, (int64_t[]){0, 3}), "i64 [0, 3]\n[]", &header);
    check_text_with(NULL, "NULL", &header);
    check_text_with(MN_NONE, "NONE", &header);
}
END_TEST

START_TEST(integers_print_in_full)
{
    const int64_t values[] = {INT64_MAX, INT64_MIN};
    check_text(mn_tensor_from(MN_I64, 1, (int64_t[]){2}, values),
               "[ 9223372036854775807 -9223372036854775808]");
}
END_TEST

START_TEST(what_a_summary_hides_does_not_change_it)
{
    mn_tensor *x = mn_tensor_zeros(MN_F64, 1, (int64_t[]){2001});
    mn_tensor_set(x, (int64_t[]){1000}, 1e9);
    check_text(x, "[0. 0. 0. ... 0. 0. 0.]");
}
END_TEST

START_TEST(strides_are_followed)
{
    float values[] = {1, 2, 3, 4, 5, 6};
    check_text(mn_tensor_wrap(MN_F32, 2, (int64_t[]){3, 2}, (int64_t[]){1, 3}, values, NULL, NULL),
               "[[1. 4.]\n [2. 5.]\n [3. 6.]]");
    check_text(mn_tensor_wrap(MN_F32, 2, (int64_t[]){2, 2}, (int64_t[]){0, 2}, values, NULL, NULL),
               "[[1. 3.]\n [1. 3.]]");
}
END_TEST

START_TEST(a_short_buffer_gets_the_beginning_and_the_whole_length)
{
    mn_tensor *x = mn_tensor_full(MN_F32, 2, (int64_t[]){2, 30}, -1.5);
    char whole[2048];
    size_t length = mn_tensor_format(x, whole, sizeof whole);
    ck_assert_uint_lt(length, sizeof whole);
    ck_assert_uint_eq(mn_tensor_format(x, NULL, 0), length);
    for (size_t size = 1; size <= length + 1; size++) {
        char *part = malloc(size); /* a write beyond it is seen by the sanitizer */
        ck_assert_uint_eq(mn_tensor_format(x, part, size), length);
        ck_assert_uint_eq(strlen(part), size - 1);
        ck_assert_int_eq(strncmp(part, whole, size - 1), 0);
        free(part);
    }
    mn_release(x);
}
END_TEST

START_TEST(shapes_print_as_lists)
{
    char text[64];
    mn_tensor *x = mn_tensor_zeros(MN_U8, 3, (int64_t[]){2, 0, 30});
    ck_assert_uint_eq(mn_tensor_format_shape(x, text, sizeof text), 10);
    ck_assert_str_eq(text, "[2, 0, 30]");
    ck_assert_uint_eq(mn_tensor_format_shape(x, text, 5), 10);
    ck_assert_str_eq(text, "[2, ");
    mn_release(x);
    x = mn_tensor_zeros(MN_U8, 0, NULL);
    ck_assert_uint_eq(mn_tensor_format_shape(x, text, sizeof text), 2);
    ck_assert_str_eq(text, "[]");
    mn_release(x);
}
END_TEST

START_TEST(absent_tensors_print_as_what_they_are)
{
    char text[16];
    ck_assert_uint_eq(mn_tensor_format(NULL, text, sizeof text), 4);
    ck_assert_str_eq(text, "NULL");
    ck_assert_uint_eq(mn_tensor_format_shape(NULL, text, sizeof text), 4);
    ck_assert_str_eq(text, "NULL");
    mn_tensor_format(MN_NONE, text, sizeof text);
    ck_assert_str_eq(text, "NONE");
    mn_tensor_format_shape(MN_NONE, text, sizeof text);
    ck_assert_str_eq(text, "NONE");
}
END_TEST

/* Says something only where one of these locales is installed. */
START_TEST(a_decimal_comma_does_not_show)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "de_DE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!setlocale(LC_ALL, names[i])) continue;
        for (size_t k = 0; k < sizeof examples / sizeof *examples; k++)
            check_text(example_tensor(&examples[k]), examples[k].text);
    }
    setlocale(LC_ALL, "C");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tensors_print_as_in_numpy,
        long_tensors_are_wrapped_and_summarised_as_in_numpy,
        integers_print_in_full,
        what_a_summary_hides_does_not_change_it,
        strides_are_followed,
        a_short_buffer_gets_the_beginning_and_the_whole_length,
        shapes_print_as_lists,
        absent_tensors_print_as_what_they_are,
        a_decimal_comma_does_not_show,
        options_are_numpys,
        a_header_says_dtype_shape_and_requires_grad,
    };
    return run_suite("format", tests, sizeof tests / sizeof *tests);
}
