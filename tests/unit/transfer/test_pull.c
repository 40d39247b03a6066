/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit/transfer/pair.h"

#define MIB 1048576u
/* Octets a millisecond. */
#define SLOW 60
#define FAST 30000

static struct pair pair;

static int set_up(void **state SH_UNUSED)
{
    pair_begin(&pair);
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    pair_end(&pair);
    return 0;
}

static void test_sizes(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 5 * MIB + 3, 0};
    for (size_t i = 0; i < SH_COUNT(sizes); i++)
        pair_item(&pair, sizes[i]);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 1 + 1 + 1 + 2 + 2 + 81);
    assert_int_equal(pair.seen[SH_MSG_MANIFEST_REQUEST], 1);
    assert_int_equal(pair.seen[SH_MSG_ROOT_REQUEST], SH_COUNT(sizes));
    assert_int_equal(sh_server_sent(pair.server, 1), pair_total(&pair));
    assert_int_equal(sh_puller_bytes(pair.puller, LAN), pair_total(&pair));
}

static void test_only_nothing(void **state SH_UNUSED)
{
    pair_item(&pair, 0);
    pair_start(&pair);
    pair_link_up(&pair, BLE, 0, SLOW, 30);
    assert_true(pair_run(&pair, 2000));
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 0);
}

static unsigned most_under_way, pulls, leaves_seen, pulls_before_leaves;

static enum fate watch_window(struct pair *p, enum to to SH_UNUSED, sh_link_id link, unsigned type)
{
    unsigned leaves = 0;
    for (const struct message *m = p->queue; m; m = m->next)
        leaves += m->type == SH_MSG_LEAF && m->link == link;
    most_under_way = SH_MAX(most_under_way, leaves + (type == SH_MSG_LEAF));
    pulls += type == SH_MSG_PULL;
    leaves_seen += type == SH_MSG_LEAF;
    pulls_before_leaves += type == SH_MSG_PULL && leaves_seen == 0;
    return PASS;
}

/* Never more than two leaves under way on BLE, so that a switch has little to wait for. */
static void test_window(void **state SH_UNUSED)
{
    pair.fate = watch_window;
    most_under_way = pulls = 0;
    pair_item(&pair, 20 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, BLE, 0, SLOW, 30);
    assert_true(pair_run(&pair, 60000));
    pair_check_done(&pair);
    assert_int_equal(most_under_way, 2);
    assert_int_equal(pulls, 20);
}

/* Four to begin with, one each, so that the first one is not behind many; then as many as the window has, eight each. */
static void test_window_fast(void **state SH_UNUSED)
{
    pair.fate = watch_window;
    most_under_way = pulls = leaves_seen = pulls_before_leaves = 0;
    pair_item(&pair, 640 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, WIFI_DIRECT, 0, FAST, 1);
    assert_true(pair_run(&pair, 10000));
    pair_check_done(&pair);
    assert_in_range(most_under_way, 8, 48);
    assert_int_equal(pulls_before_leaves, 4);
    assert_int_equal(pulls, 4 + 80);
}

/* Over a link with a long way: the requests of small items do not wait for each other. */
static void test_many_items(void **state SH_UNUSED)
{
    for (unsigned i = 0; i < SH_ITEMS_MAX; i++)
        pair_item(&pair, i % 7 == 0 ? 0 : 10 + i);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 20);
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
}

static enum fate better_at_ten(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                               unsigned type)
{
    if (type == SH_MSG_LEAF && p->seen[SH_MSG_LEAF] == 10)
        pair_link_up(p, LAN, 0, FAST, 1);
    return PASS;
}

/* A better link comes in mid-item: everything new goes there, nothing is counted twice; in the end it takes over at most the two
 * leaves that are still on their way over the slow one. */
static void test_better_link(void **state SH_UNUSED)
{
    pair.fate = better_at_ten;
    pair_item(&pair, 400 * SH_LEAF_SIZE + 5);
    pair_start(&pair);
    pair_link_up(&pair, BLE, 1, SLOW, 30);
    assert_true(pair_run(&pair, 60000));
    pair_check_done(&pair);
    assert_in_range(pair.seen[SH_MSG_LEAF], 401, 403);
    assert_int_equal(sh_puller_bytes(pair.puller, BLE) + sh_puller_bytes(pair.puller, LAN),
                     400 * SH_LEAF_SIZE + 5);
    assert_in_range(sh_puller_bytes(pair.puller, BLE), 8 * SH_LEAF_SIZE, 12 * SH_LEAF_SIZE);
    assert_true(sh_puller_bytes(pair.puller, LAN) > 380 * SH_LEAF_SIZE);
}

static sh_ms fresh_at;

static enum fate fresh_is_dead(struct pair *p, enum to to SH_UNUSED, sh_link_id link, unsigned type)
{
    if (type == SH_MSG_LEAF && p->seen[SH_MSG_LEAF] == 10) {
        fresh_at = p->now;
        sh_link_id id = pair_link_up(p, LAN, 0, FAST, 1);
        pair_link_silence(p, id, true);
    }
    pulls += type == SH_MSG_PULL && link == 2;
    return PASS;
}

static uint64_t last_bytes;
static sh_ms last_change, longest_pause;

static void watch_pauses(struct pair *p)
{
    uint64_t bytes = sh_puller_bytes(p->puller, BLE) + sh_puller_bytes(p->puller, LAN);
    if (bytes == last_bytes)
        return;
    if (last_bytes > 0)
        longest_pause = SH_MAX(longest_pause, p->now - last_change);
    last_bytes = bytes;
    last_change = p->now;
}

/* A better link whose probes passed carries nothing: it is asked for one leaf, the old one goes on without a pause, and the leaf
 * comes over that in the end. */
static void test_fresh_link_is_dead(void **state SH_UNUSED)
{
    static const unsigned sizes[] = {
        40, 12}; /* leaves: more and less than comes before it is dropped */
    for (size_t i = 0; i < SH_COUNT(sizes); i++) {
        pair_end(&pair);
        pair_begin(&pair);
        pair.fate = fresh_is_dead;
        pair.event = watch_pauses;
        pulls = 0;
        last_bytes = longest_pause = 0;
        pair_item(&pair, sizes[i] * SH_LEAF_SIZE);
        pair_start(&pair);
        pair_link_up(&pair, BLE, 1, SLOW, 30);
        assert_true(pair_run(&pair, 60000));
        pair_check_done(&pair);
        assert_int_equal(pulls, 1);
        assert_int_equal(sh_puller_bytes(pair.puller, LAN), 0);
        assert_int_equal(pair.dropped, sizes[i] > 20);
        assert_in_range(longest_pause, 1000, SH_TRIAL_MS + 1500);
        assert_in_range(pair.now - fresh_at, 0, (sizes[i] - 8) * 1100 + SH_TRIAL_MS);
    }
}

/* With nothing else to try it with, a better link is tried with a leaf that is on its way already: it comes there first. */
static void test_fresh_link_at_the_end(void **state SH_UNUSED)
{
    pair.fate = better_at_ten;
    pair_item(&pair, 10 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, BLE, 1, SLOW, 30);
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
    assert_in_range(sh_puller_bytes(pair.puller, LAN), SH_LEAF_SIZE, 2 * SH_LEAF_SIZE);
    assert_in_range(pair.seen[SH_MSG_LEAF], 11, 12);
}

static void test_worse_link(void **state SH_UNUSED)
{
    pair_item(&pair, 100 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    pair_link_up(&pair, BLE, 1, SLOW, 30);
    assert_true(pair_run(&pair, 60000));
    pair_check_done(&pair);
    assert_int_equal(sh_puller_bytes(pair.puller, BLE), 0);
}

static enum fate silent_at_twenty(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                                  unsigned type)
{
    if (type == SH_MSG_LEAF && p->seen[SH_MSG_LEAF] == 20)
        pair_link_silence(p, 1, true);
    return PASS;
}

static void take_silent_down(struct pair *p)
{
    if (p->links[1].silent)
        pair_link_down(p, 1);
}

/* A link dies in mid-item: what was under way is asked for on the other one, once. */
static void test_link_dies(void **state SH_UNUSED)
{
    pair.fate = silent_at_twenty;
    pair.event = take_silent_down;
    pair_item(&pair, 200 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    pair_link_up(&pair, WIFI_DIRECT, 1, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_done(&pair);
    assert_int_equal(pair.dropped, 0);
    assert_true(sh_puller_bytes(pair.puller, WIFI_DIRECT) > 0);
    assert_in_range(pair.seen[SH_MSG_LEAF], 200, 220);
}

/* It only stops: dropped after five seconds, the rest goes over the other one. */
static void test_stall(void **state SH_UNUSED)
{
    pair.fate = silent_at_twenty;
    pair_item(&pair, 200 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    pair_link_up(&pair, BLE, 1, SLOW * 100, 1);
    sh_ms begin = pair.now;
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
    assert_int_equal(pair.dropped, 1);
    assert_in_range(pair.now - begin, SH_STALL_MS, SH_STALL_MS + 4000);
}

/* The only link stops: the end comes, with its cause, and what was verified is kept. */
static void test_stall_alone(void **state SH_UNUSED)
{
    pair.fate = silent_at_twenty;
    pair_item(&pair, 200 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, 3000, 1);
    sh_ms begin = pair.now;
    assert_true(pair_run(&pair, 60000));
    pair_check_failed(&pair, SH_TRANSFER_STALLED);
    assert_in_range(pair.now - begin, SH_STALL_MS + SH_NO_LINK_MS,
                    SH_STALL_MS + SH_NO_LINK_MS + 3000);
    uint64_t kept = pair_bytes(&pair);
    assert_in_range(kept, SH_LEAF_SIZE, 20 * SH_LEAF_SIZE);
    pair_stop(&pair);
    pair.fate = NULL;
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_done(&pair);
    assert_int_equal(sh_puller_resumed(pair.puller), kept);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 200 - kept / SH_LEAF_SIZE);
}

static void test_no_link(void **state SH_UNUSED)
{
    pair_item(&pair, 10);
    pair_start(&pair);
    sh_ms begin = pair.now;
    sh_puller_links_expected(pair.puller, begin + 25000);
    assert_true(pair_run(&pair, 60000));
    pair_check_failed(&pair, SH_TRANSFER_STALLED);
    assert_in_range(pair.now - begin, 25000, 26000);
    pair_stop(&pair);
    pair_start(&pair);
    begin = pair.now;
    assert_true(pair_run(&pair, 60000));
    pair_check_failed(&pair, SH_TRANSFER_STALLED);
    assert_in_range(pair.now - begin, SH_NO_LINK_MS, SH_NO_LINK_MS + 1000);
}

/* Links that are announced again and again, and never come. */
static void expect_more(struct pair *p)
{
    sh_puller_links_expected(p->puller, p->now + 20000);
}

static void test_expected_for_ever(void **state SH_UNUSED)
{
    pair_item(&pair, 10);
    pair.event = expect_more;
    pair_start(&pair);
    sh_ms begin = pair.now;
    assert_true(pair_run(&pair, 200000));
    pair_check_failed(&pair, SH_TRANSFER_STALLED);
    assert_in_range(pair.now - begin, SH_EXPECTED_MS, SH_EXPECTED_MS + 1000);
}

static unsigned lose_type, lose_first, lose_count;

static enum fate lose_some(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                           unsigned type)
{
    bool lost =
        type == lose_type && p->seen[type] >= lose_first && p->seen[type] < lose_first + lose_count;
    return lost ? LOSE : PASS;
}

static const unsigned every_type[] = {
    SH_MSG_MANIFEST_REQUEST, SH_MSG_MANIFEST, SH_MSG_PULL,        SH_MSG_LEAF,    SH_MSG_ROOT,
    SH_MSG_ROOT_REQUEST,     SH_MSG_RECEIPT,  SH_MSG_RECEIPT_ACK, SH_MSG_PROGRESS};

/* Any one message is lost, once, with one link and with two: it ends well. */
static void test_lost_once(void **state SH_UNUSED)
{
    for (size_t i = 0; i < 2 * SH_COUNT(every_type); i++) {
        pair_end(&pair);
        pair_begin(&pair);
        pair.fate = lose_some;
        lose_type = every_type[i / 2];
        lose_first = lose_type == SH_MSG_LEAF ? 30 : 1;
        lose_count = 1;
        pair_item(&pair, 300 * SH_LEAF_SIZE); /* goes on longer than the deadline of a leaf */
        pair_item(&pair, 7);
        pair_start(&pair);
        pair_link_up(&pair, LAN, 0, 2500, 1);
        if (i % 2)
            pair_link_up(&pair, WIFI_DIRECT, 1, 2500, 1);
        assert_true(pair_run(&pair, 40000));
        pair_check_done(&pair);
        if (lose_type == SH_MSG_LEAF) /* the link was not to blame */
            assert_int_equal(pair.dropped, 0);
    }
}

/* A lost leaf with nothing behind it: the link gives nothing more. With another link that is no
 * loss. */
static void test_lost_last_leaf(void **state SH_UNUSED)
{
    pair.fate = lose_some;
    lose_type = SH_MSG_LEAF;
    lose_first = 3;
    lose_count = 1;
    pair_item(&pair, 3 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    pair_link_up(&pair, BLE, 1, SLOW, 1);
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
    assert_int_equal(pair.dropped, 1);
    assert_int_equal(sh_puller_bytes(pair.puller, BLE), SH_LEAF_SIZE);
}

/* It never comes at all. */
static void test_lost_always(void **state SH_UNUSED)
{
    static const struct {
        unsigned type;
        enum sh_cause cause;
        sh_ms limit;
    } table[] = {
        {SH_MSG_MANIFEST, SH_TRANSFER_STALLED, 3 * SH_MANIFEST_MS + 2000},
        {SH_MSG_LEAF, SH_TRANSFER_STALLED, 2 * SH_STALL_MS + SH_NO_LINK_MS + 2000},
        {SH_MSG_ROOT, SH_TRANSFER_STALLED, SH_IDLE_MS + 2000},
        {SH_MSG_RECEIPT_ACK, SH_RECEIPT_TIMEOUT, 2 * SH_MANIFEST_MS + 2000},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        pair_end(&pair);
        pair_begin(&pair);
        pair.fate = lose_some;
        lose_type = table[i].type;
        lose_first = 1;
        lose_count = 1000000;
        pair_item(&pair, 100);
        pair_start(&pair);
        pair_link_up(&pair, LAN, 0, FAST, 1);
        pair_link_up(&pair, BLE, 1, SLOW, 1);
        assert_true(pair_run(&pair, table[i].limit));
        pair_check_failed(&pair, table[i].cause);
    }
}

static unsigned bend_type, bend_number;
static enum fate bend_how;

static enum fate bend_one(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                          unsigned type)
{
    return type == bend_type && p->seen[type] == bend_number ? bend_how : PASS;
}

static void run_bent(unsigned type, unsigned number, enum fate how)
{
    pair.fate = bend_one;
    bend_type = type;
    bend_number = number;
    bend_how = how;
    pair_item(&pair, 3 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
}

static void test_bent_leaf(void **state SH_UNUSED)
{
    run_bent(SH_MSG_LEAF, 2, BEND);
    pair_check_failed(&pair, SH_TRANSFER_LEAF_MISMATCH);
    assert_int_equal(pair_bytes(&pair), SH_LEAF_SIZE);
    assert_non_null(strstr(sh_detail(), "leaf 1 of item 0"));
}

static void test_bent_root(void **state SH_UNUSED)
{
    run_bent(SH_MSG_ROOT, 1, BEND);
    pair_check_failed(&pair, SH_TRANSFER_ROOT_MISMATCH);
}

static void test_doubled(void **state SH_UNUSED)
{
    for (size_t i = 0; i < SH_COUNT(every_type); i++) {
        pair_end(&pair);
        pair_begin(&pair);
        run_bent(every_type[i], 1, DOUBLE);
        pair_check_done(&pair);
    }
}

/* Everything was there from an earlier session: only the roots are asked for. */
static void test_resume_complete(void **state SH_UNUSED)
{
    pair.fate = lose_some;
    lose_type = SH_MSG_ROOT;
    lose_first = 1;
    lose_count = 1000;
    pair_item(&pair, 300 * SH_LEAF_SIZE);
    pair_item(&pair, 70000);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 60000));
    pair_check_failed(&pair, SH_TRANSFER_STALLED);
    pair_stop(&pair);
    pair.fate = NULL;
    pair_start(&pair);
    pair_link_up(&pair, BLE, 0, SLOW, 1);
    assert_true(pair_run(&pair, 500)); /* what is there is read without pauses */
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 0);
    assert_int_equal(sh_puller_resumed(pair.puller), pair_total(&pair));
}

/* Items that were received before cost nothing, and the receipt covers them. */
static void test_had(void **state SH_UNUSED)
{
    pair.have = true;
    pair_item_named(&pair, "had 1", 500000);
    pair_item(&pair, 70000);
    pair_item_named(&pair, "had 2", 0);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 2);
    assert_int_equal(pair.seen[SH_MSG_ROOT_REQUEST], 1);
    assert_int_equal(sh_puller_resumed(pair.puller), 500000);
}

static void test_refused_item(void **state SH_UNUSED)
{
    pair.refuse = SH_BUNDLE_STALE;
    pair_item(&pair, 10);
    pair_item(&pair, 10);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_failed(&pair, SH_BUNDLE_STALE);
    assert_int_equal(pair.finished, 1);
    assert_int_equal(pair.seen[SH_MSG_RECEIPT], 0);
}

/* Known before the first octet: the last item's name is taken. */
static void test_known_before(void **state SH_UNUSED)
{
    for (int i = 0; i < 20; i++)
        pair_item(&pair, 100000);
    write_file(in_folder(pair.folder, "item 19"), "mine", 4);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    assert_cause(pair.result, SH_STORE_TARGET_EXISTS);
    assert_int_equal(pair.seen[SH_MSG_PULL], 0);
    sh_store_closep(&pair.store);
    assert_int_equal(count_entries(pair.folder), 1); /* no reserved space is left behind */
}

/* Five times a second and at the end, on both sides. */
static void test_progress(void **state SH_UNUSED)
{
    pair_item(&pair, 40 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, 500, 1);
    sh_ms begin = pair.now;
    assert_true(pair_run(&pair, 10000));
    pair_check_done(&pair);
    assert_in_range(pair.progress, (pair.now - begin) / 400,
                    (pair.now - begin) / SH_PROGRESS_MS + 3);
    assert_int_equal(pair.told, pair_total(&pair));
}

/* We were away (asleep, or syncing a disk) for an hour: nobody is blamed for it. */
static void test_absence(void **state SH_UNUSED)
{
    pair_item(&pair, 400 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_false(pair_run(&pair, 300));
    pair.now += 3600000;
    pair.tick = pair.now;
    assert_true(pair_run(&pair, 10000));
    pair_check_done(&pair);
    assert_int_equal(pair.dropped, 0);
}

static sh_ms last_flap;

/* A link that comes and goes for ever and moves nothing. */
static void flap(struct pair *p)
{
    if (p->link_count > 0 && p->now - last_flap < 900)
        return;
    last_flap = p->now;
    if (p->link_count > 0)
        pair_link_down(p, p->link_count);
    if (!p->over && p->link_count < PAIR_LINKS) {
        sh_link_id id = pair_link_up(p, LAN, 0, FAST, 1);
        pair_link_silence(p, id, true);
    }
}

static void test_flapping(void **state SH_UNUSED)
{
    last_flap = 0;
    pair.event = flap;
    pair_item(&pair, 10);
    pair_start(&pair);
    assert_true(pair_run(&pair, 60000));
    pair_check_failed(&pair, SH_TRANSFER_STALLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sizes),
        TEST(test_only_nothing),
        TEST(test_window),
        TEST(test_window_fast),
        TEST(test_many_items),
        TEST(test_better_link),
        TEST(test_fresh_link_is_dead),
        TEST(test_fresh_link_at_the_end),
        TEST(test_worse_link),
        TEST(test_link_dies),
        TEST(test_stall),
        TEST(test_stall_alone),
        TEST(test_no_link),
        TEST(test_expected_for_ever),
        TEST(test_lost_once),
        TEST(test_lost_last_leaf),
        TEST(test_lost_always),
        TEST(test_bent_leaf),
        TEST(test_bent_root),
        TEST(test_doubled),
        TEST(test_resume_complete),
        TEST(test_had),
        TEST(test_refused_item),
        TEST(test_known_before),
        TEST(test_progress),
        TEST(test_absence),
        TEST(test_flapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
