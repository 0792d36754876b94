// The whole public header from C++17: it compiles, links, trains, and its handles fit std::unique_ptr.
#include <cstdio>
#include <cstring>
#include <memory>
#include <minnow/minnow.h>

template <auto release> struct deleter {
    template <class T> void operator()(T *p) const { release(p); }
};
using tape = std::unique_ptr<mn_tape, deleter<mn_tape_free>>;
using module_ptr = std::unique_ptr<mn_module, deleter<mn_module_free>>;
using optim = std::unique_ptr<mn_optim, deleter<mn_optim_free>>;
using tensor = std::unique_ptr<mn_tensor, deleter<mn_release>>;

static int failed(const char *what)
{
    std::fprintf(stderr, "not true: %s (%s)\n", what, mn_last_message());
    return 1;
}

int main()
{
    {
        mn_module *layers[] = {mn_nn_linear(2, 16, nullptr), mn_nn_tanh(),
                               mn_nn_linear(16, 1, nullptr)};
        module_ptr net(mn_nn_sequential_n(layers, 3));
        mn_module_init(net.get(), 1);
        mn_optim_sgd_opts opts{};
        opts.momentum = 0.9;
        optim sgd(mn_optim_sgd(net.get(), 0.1, &opts));

        const float in[] = {0, 0, 0, 1, 1, 0, 1, 1}, out[] = {0, 1, 1, 0};
        const int64_t in_shape[] = {4, 2}, out_shape[] = {4, 1};
        tensor x(mn_tensor_from(MN_F32, 2, in_shape, in));
        tensor y(mn_tensor_from(MN_F32, 2, out_shape, out));

        tape t(mn_tape_new(nullptr));
        double loss = 1;
        for (int step = 0; step < 500; step++) {
            mn_tensor *l = mn_mse_loss(t.get(), mn_module_forward(net.get(), t.get(), x.get()),
                                       y.get(), nullptr);
            mn_optim_zero_grad(sgd.get());
            mn_backward(t.get(), l);
            mn_optim_step(sgd.get(), t.get());
            loss = mn_tensor_item(l);
            mn_tape_reset(t.get());
        }
        if (mn_tape_error(t.get()) != MN_OK) return failed(mn_tape_message(t.get()));
        if (!(loss < 0.01)) return failed("loss < 0.01");
        if (MN_NONE == nullptr || std::strcmp(mn_dtype_name(MN_I64), "i64")) return failed("names");
    }
    if (mn_live_allocations() != 0) return failed("mn_live_allocations() == 0");
    return 0;
}
