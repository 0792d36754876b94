/*
 * tests/rows/loss.c: the rows of minnow/ops/loss.h. Where there are options the first argument is the
 * reduction.
 */
#include "rows/rows.h"

#define REDUCTION .reduction = (mn_reduction)a[0]

/* Input i for an options struct: NULL when the case has not so many; what fails when it is NULL. */
static mn_tensor *option(const call *c, int i)
{
    if (i >= c->n_in) return NULL;
    return c->in[i] ? c->in[i] : mn_clone(c->t, NULL);
}

CALL(huber, mn_huber_loss(t, x[0], x[1], &(mn_huber_loss_opts){REDUCTION, .delta = a[1]}))
CALL(smooth_l1, mn_smooth_l1_loss(t, x[0], x[1], a[1], &(mn_loss_opts){REDUCTION}))
CALL(nll,
     mn_nll_loss(t, x[0], x[1],
                 &(mn_nll_loss_opts){REDUCTION, .weight = option(c, 2),
                                     .has_ignore_index = a[1] != 0, .ignore_index = (int64_t)a[2]}))
CALL(cross_entropy, mn_cross_entropy(t, x[0], x[1],
                                     &(mn_cross_entropy_opts){REDUCTION, .weight = option(c, 2),
                                                              .label_smoothing = a[1],
                                                              .has_ignore_index = a[2] != 0,
                                                              .ignore_index = (int64_t)a[3]}))
CALL(multi_margin, mn_multi_margin_loss(t, x[0], x[1], a[1],
                                        &(mn_multi_margin_loss_opts){REDUCTION, .p = (int)a[2],
                                                                     .weight = option(c, 2)}))
CALL(multilabel_soft_margin, mn_multilabel_soft_margin_loss(t, x[0], x[1],
                                                            &(mn_multilabel_soft_margin_loss_opts){
                                                                REDUCTION, .weight = option(c, 2)}))
/* a[1]: 1 weight, 2 pos_weight, 3 both */
CALL(binary, mn_binary_cross_entropy(t, x[0], x[1],
                                     &(mn_binary_cross_entropy_opts){
                                         REDUCTION, .weight = a[1] == 1 ? option(c, 2) : NULL,
                                         .pos_weight = a[1] == 2 ? option(c, 2) : NULL}))
CALL(binary_with_logits,
     mn_binary_cross_entropy_with_logits(
         t, x[0], x[1],
         &(mn_binary_cross_entropy_opts){REDUCTION, .weight = (int)a[1] & 1 ? option(c, 2) : NULL,
                                         .pos_weight = (int)a[1] & 2 ? option(c, a[1] == 3 ? 3 : 2)
                                                                     : NULL}))
CALL(kl_div, mn_kl_div(t, x[0], x[1], &(mn_kl_div_opts){REDUCTION, .log_target = a[1] != 0}))
CALL(poisson_nll,
     mn_poisson_nll_loss(t, x[0], x[1],
                         &(mn_poisson_nll_loss_opts){REDUCTION, .no_log_input = a[1] != 0,
                                                     .full = a[2] != 0, .eps = a[3]}))
CALL(gaussian_nll,
     mn_gaussian_nll_loss(t, x[0], x[1], x[2],
                          &(mn_gaussian_nll_loss_opts){REDUCTION, .full = a[1] != 0, .eps = a[2]}))
CALL(hinge_embedding, mn_hinge_embedding_loss(t, x[0], x[1], a[1], &(mn_loss_opts){REDUCTION}))
CALL(margin_ranking,
     mn_margin_ranking_loss(t, x[0], x[1], x[2], &(mn_margin_loss_opts){REDUCTION, .margin = a[1]}))
CALL(cosine_similarity, mn_cosine_similarity(t, x[0], x[1], (int)a[0], a[1]))
CALL(pairwise_distance, mn_pairwise_distance(t, x[0], x[1], a[0], a[1], a[2] != 0))
CALL(cosine_embedding, mn_cosine_embedding_loss(t, x[0], x[1], x[2],
                                                &(mn_margin_loss_opts){REDUCTION, .margin = a[1]}))
CALL(triplet_margin,
     mn_triplet_margin_loss(t, x[0], x[1], x[2],
                            &(mn_triplet_margin_loss_opts){REDUCTION, .margin = a[1], .p = a[2],
                                                           .eps = a[3], .swap = a[4] != 0}))
/* a[3]: log_softmax first */
CALL(ctc, mn_ctc_loss(t, a[3] != 0 ? mn_log_softmax(t, x[0], -1) : x[0], x[1], x[2], x[3],
                      &(mn_ctc_loss_opts){REDUCTION, .blank = (int64_t)a[1],
                                          .zero_infinity = a[2] != 0}))

const op_row rows_loss[] = {
    {"l1_loss", .loss = mn_l1_loss},
    {"mse_loss", .loss = mn_mse_loss},
    {"huber_loss", .other = call_huber},
    {"smooth_l1_loss", .other = call_smooth_l1},
    {"nll_loss", .other = call_nll},
    {"cross_entropy", .other = call_cross_entropy},
    {"multi_margin_loss", .other = call_multi_margin},
    {"multilabel_margin_loss", .loss = mn_multilabel_margin_loss},
    {"multilabel_soft_margin_loss", .other = call_multilabel_soft_margin},
    {"ctc_loss", .other = call_ctc},
    {"binary_cross_entropy", .other = call_binary},
    {"binary_cross_entropy_with_logits", .other = call_binary_with_logits},
    {"kl_div", .other = call_kl_div},
    {"poisson_nll_loss", .other = call_poisson_nll},
    {"gaussian_nll_loss", .other = call_gaussian_nll},
    {"soft_margin_loss", .loss = mn_soft_margin_loss},
    {"hinge_embedding_loss", .other = call_hinge_embedding},
    {"margin_ranking_loss", .other = call_margin_ranking},
    {"cosine_similarity", .other = call_cosine_similarity},
    {"pairwise_distance", .other = call_pairwise_distance},
    {"cosine_embedding_loss", .other = call_cosine_embedding},
    {"triplet_margin_loss", .other = call_triplet_margin},
    {0},
};
