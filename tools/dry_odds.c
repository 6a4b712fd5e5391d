/* Every outcome that chance leaves open, with its odds.
 *
 * The draws of a dry run are digits of a number whose bases the run itself tells (`of`): counting it up visits each outcome once, and
 * its odds are one over the product of the bases. A base depends only on digits before it, so the counting stays right. Where there would be too
 * many, the two legs are counted one after the other, each with the other one fixed.
 *
 * Called by explain and lint. Draws are taken as equally likely: that is what the balancer's hash and the nodes' random choice come to. */
#include "dry_internal.h"

#include <string.h>

struct count {
    struct pg_dry *d;
    const struct pg_dry_request *request;
    struct pg_dry_odds *odds;
    uint32_t runs_most;
    bool legs[2];  /* which legs' values are noted now */
    bool verdicts; /* and whether the ends are */
};

static void note_other(struct pg_dry_others *to, const struct pg_dry_other *other)
{
    for (uint32_t i = 0; i < to->count; i++) {
        struct pg_dry_other *at = &to->at[i];
        if (pg_addr_equal(&at->addr, &other->addr) && at->port == other->port &&
            at->same == other->same) {
            at->odds += other->odds;
            return;
        }
    }
    if (to->count < PG_DRY_OTHERS) {
        to->at[to->count++] = *other;
    } else {
        to->left_out++;
    }
}

static void note_leg(struct pg_dry_odds *odds, uint32_t leg, const struct pg_dry_result *result,
                     double odds_here)
{
    const struct pg_nat_decision *d = &result->leg[leg];
    struct pg_dry_other dst = {.addr = result->arrives[leg].dst,
                               .port = result->arrives[leg].dst_port,
                               .node = d->node,
                               .endpoint = d->endpoint,
                               .reason = d->dnat_reason,
                               .odds = odds_here};
    struct pg_dry_other src = {.node = d->node,
                               .endpoint = d->endpoint,
                               .same = !d->masquerade,
                               .reason = d->snat_reason,
                               .odds = odds_here};

    if (d->masquerade) {
        src.addr = d->snat_addr;
    }
    if (d->kind != PG_DECIDE_PLAIN && d->kind != PG_DECIDE_DNAT) {
        return; /* it ends here */
    }
    note_other(&odds->dst[leg], &dst);
    note_other(&odds->src[leg], &src);
}

static void visit(struct count *c, const struct pg_dry_result *result, double odds_here)
{
    c->odds->runs++;
    for (uint32_t leg = 0; leg < 2 && leg < result->leg_count; leg++) {
        if (c->legs[leg]) {
            note_leg(c->odds, leg, result, odds_here);
        }
    }
    if (!c->verdicts) {
        return;
    }
    if (result->has_verdict) {
        c->odds->verdict[result->verdict] += odds_here;
    } else {
        c->odds->end[result->end] += odds_here;
    }
}

/* Counts the digits first..last, the others as they are in draw. */
static void count_digits(struct count *c, uint64_t draw[PG_DRY_CHOICES], int first, int last)
{
    struct pg_dry_result result;
    int digit = first;

    while (digit >= first) {
        double odds = 1;
        pg_dry_run(c->d, c->request, draw, NULL, &result);
        for (int i = first; i <= last; i++) {
            odds *= i == PG_DRY_BACKEND ? result.backend_odds : 1.0 / result.of[i];
        }
        visit(c, &result, odds);
        for (digit = last; digit >= first && draw[digit] + 1 >= result.of[digit]; digit--) {
            draw[digit] = 0;
        }
        if (digit >= first) {
            draw[digit]++;
        }
    }
}

static double product(const struct pg_dry_result *result, int first, int last)
{
    double n = 1;

    for (int i = first; i <= last; i++) {
        n *= result->of[i];
    }
    return n;
}

/* A leg with more outcomes than we look at: its endpoints alone, and as many as we do look at. */
static void count_some(struct count *c, uint64_t draw[PG_DRY_CHOICES], int digit)
{
    struct pg_dry_result result;
    uint32_t of = 1;

    for (draw[digit] = 0; draw[digit] < of && draw[digit] < c->runs_most; draw[digit]++) {
        pg_dry_run(c->d, c->request, draw, NULL, &result);
        of = result.of[digit];
        visit(c, &result, 1.0 / of);
    }
    draw[digit] = 0;
}

static void count_leg(struct count *c, const struct pg_dry_result *rough, int first, int last)
{
    uint64_t draw[PG_DRY_CHOICES] = {0};

    if (product(rough, first, last) <= c->runs_most) {
        count_digits(c, draw, first, last);
    } else {
        count_some(c, draw, last);
    }
}

/* The first outcome that ends as most do. */
static bool is_shown(const struct pg_dry_odds *odds, const struct pg_dry_result *result)
{
    double here = result->has_verdict ? odds->verdict[result->verdict] : odds->end[result->end];

    for (int i = 0; i < PG_VERDICT_COUNT; i++) {
        if (odds->verdict[i] > here + 1e-9) {
            return false;
        }
    }
    for (int i = 0; i < PG_DRY_END_COUNT; i++) {
        if (odds->end[i] > here + 1e-9) {
            return false;
        }
    }
    return true;
}

static void choose_shown(struct count *c)
{
    struct pg_dry_result result;
    uint64_t draw[PG_DRY_CHOICES] = {0};

    for (uint32_t run = 0; run < c->odds->runs; run++) {
        int digit = PG_DRY_CHOICES - 1;
        pg_dry_run(c->d, c->request, draw, NULL, &result);
        if (is_shown(c->odds, &result)) {
            memcpy(c->odds->draw, draw, sizeof draw);
            return;
        }
        while (digit >= 0 && draw[digit] + 1 >= result.of[digit]) {
            draw[digit--] = 0;
        }
        if (digit < 0) {
            return;
        }
        draw[digit]++;
    }
}

static void sort_others(struct pg_dry_others *o)
{
    for (uint32_t i = 1; i < o->count; i++) {
        struct pg_dry_other one = o->at[i];
        uint32_t at = i;
        for (; at > 0 && o->at[at - 1].odds < one.odds - 1e-9; at--) {
            o->at[at] = o->at[at - 1];
        }
        o->at[at] = one;
    }
}

void pg_dry_explore(struct pg_dry *d, const struct pg_dry_request *request, uint32_t runs_most,
                    struct pg_dry_odds *ret)
{
    struct count c = {.d = d,
                      .request = request,
                      .odds = ret,
                      .runs_most = runs_most,
                      .legs = {true, true},
                      .verdicts = true};
    struct pg_dry_result rough;
    uint64_t draw[PG_DRY_CHOICES] = {0};

    memset(ret, 0, sizeof *ret);
    pg_dry_run(d, request, draw, NULL, &rough);
    if (product(&rough, 0, PG_DRY_CHOICES - 1) <= runs_most) {
        count_digits(&c, draw, 0, PG_DRY_CHOICES - 1);
    } else {
        ret->partial = true;
        c.legs[1] = false;
        c.verdicts = product(&rough, PG_DRY_ENTRY, PG_DRY_ENDPOINT) > 1;
        count_leg(&c, &rough, PG_DRY_ENTRY, PG_DRY_ENDPOINT);
        c.legs[0] = false;
        c.legs[1] = true;
        c.verdicts = !c.verdicts;
        count_leg(&c, &rough, PG_DRY_ADDRESS, PG_DRY_UP_ENDPOINT);
    }
    choose_shown(&c);
    for (int leg = 0; leg < 2; leg++) {
        sort_others(&ret->dst[leg]);
        sort_others(&ret->src[leg]);
    }
}
