/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random schedules: links of random speed come, go, fall silent and speak again, messages are lost
 * and doubled, sessions are stopped and begun again. Each run ends within a bounded time, done or
 * with a cause that its faults can have.
 */
#include "unit/transfer/pair.h"

#define RUNS       2000
#define FAULTS_END 8000  /* ms of a session with faults; from then on one link works */
#define LIMIT      60000 /* ms of a session */

static struct pair pair;
static sh_ms started, next_event;
static bool with_loss;
static sh_link_id good;

static enum fate random_fate(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                             unsigned type SH_UNUSED)
{
    if (!with_loss || p->now >= started + FAULTS_END)
        return PASS;
    uint64_t dice = pair_random(p) % 100;
    return dice < 2 ? LOSE : dice < 5 ? DOUBLE : PASS;
}

static sh_link_id random_link(struct pair *p)
{
    int kind = 1 + (int)(pair_random(p) % 3);
    uint64_t rate = kind == BLE ? 60 + pair_random(p) % 100 : 1000 + pair_random(p) % 30000;
    return pair_link_up(p, kind, (unsigned)(3 - kind), rate, pair_random(p) % 50);
}

/* One link is up from the end of the faults on, and comes back when it is dropped. */
static void keep_good(struct pair *p)
{
    if (good == 0 || !p->links[good].up)
        good = pair_link_up(p, LAN, 0, 20000, 5);
}

static void random_event(struct pair *p)
{
    if (p->over || p->now < next_event || p->link_count + 2 >= PAIR_LINKS)
        return;
    next_event = p->now + pair_random(p) % 800;
    if (p->now >= started + FAULTS_END) {
        keep_good(p);
        return;
    }
    uint64_t dice = pair_random(p) % 10;
    if (dice < 4 || p->link_count == 0) {
        random_link(p);
        return;
    }
    sh_link_id id = 1 + (sh_link_id)(pair_random(p) % p->link_count);
    if (dice < 7)
        pair_link_down(p, id);
    else if (p->links[id].up)
        pair_link_silence(p, id, dice < 9);
}

static void random_items(struct pair *p)
{
    static const uint64_t edges[] = {0, 1, 65535, 65536, 65537};
    size_t count = 1 + pair_random(p) % 5;
    for (size_t i = 0; i < count; i++) {
        bool edge = pair_random(p) % 2;
        pair_item(p, edge ? edges[pair_random(p) % SH_COUNT(edges)]
                          : pair_random(p) % (20 * SH_LEAF_SIZE));
    }
}

static void check_session(struct pair *p, unsigned seed)
{
    bool expected =
        p->result == SH_OK ||
        (with_loss && (p->result == SH_TRANSFER_STALLED || p->result == SH_RECEIPT_TIMEOUT));
    if (!expected || p->server_cause != SH_OK)
        print_error("seed %u: %s, anchor %s, %s\n", seed, sh_cause_info(p->result)->name,
                    sh_cause_info(p->server_cause)->name, sh_detail());
    assert_true(expected);
    assert_ok(p->server_cause);
    uint64_t verified = 0;
    for (size_t i = 0; i < sh_puller_item_count(p->puller); i++)
        verified += sh_puller_item(p->puller, i)->verified;
    assert_int_equal(verified, pair_bytes(p) + sh_puller_resumed(p->puller));
    if (p->result == SH_OK)
        pair_check_done(p);
    else
        pair_check_failed(p, p->result);
}

static void run_session(struct pair *p, unsigned seed, sh_ms limit)
{
    p->fate = random_fate;
    p->event = random_event;
    pair_start(p);
    started = next_event = p->now;
    good = 0;
    bool over = pair_run(p, limit);
    if (!over && limit == LIMIT)
        print_error("seed %u: not over after %u ms\n", seed, LIMIT);
    if (over)
        check_session(p, seed);
    else
        assert_true(limit < LIMIT);
}

static void test_schedules(void **state SH_UNUSED)
{
    unsigned done = 0;
    for (unsigned seed = 1; seed <= RUNS; seed++) {
        pair_begin(&pair);
        pair.rng += (uint64_t)seed * 0x9e3779b97f4a7c15u;
        with_loss = seed % 2;
        random_items(&pair);
        if (seed % 3 == 0) { /* a session that is stopped somewhere, and another one that goes on */
            run_session(&pair, seed, 1 + pair_random(&pair) % 3000);
            bool ended = pair.over && pair.result == SH_OK;
            pair_stop(&pair);
            if (!ended && !exists(in_folder(pair.folder, "item 0")))
                run_session(&pair, seed, LIMIT);
        } else {
            run_session(&pair, seed, LIMIT);
        }
        done += pair.over && pair.result == SH_OK;
        pair_end(&pair);
    }
    assert_true(done > RUNS * 8 / 10); /* the others met their faults, these did not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
