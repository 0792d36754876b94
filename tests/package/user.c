/* Uses the installed minnow: d(x * x) / dx is 2x. Returns 0 when it is. */
#include <minnow/minnow.h>
#include <stdio.h>

int main(void)
{
    mn_tensor *x = mn_tensor_from(MN_F32, 1, (const int64_t[]){1}, (const float[]){3.0f});
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor_set_requires_grad(x, true);
    mn_backward(t, mn_mul(t, x, x));

    bool right = !mn_tape_error(t) && mn_tensor_item(mn_tensor_grad(x)) == 6.0;
    if (!right) fprintf(stderr, "package: the gradient is not 6: %s\n", mn_tape_message(t));
    mn_tape_free(t);
    mn_release(x);
    return !right;
}
