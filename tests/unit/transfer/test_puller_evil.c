/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a hostile or broken anchor may say to a secondary, and what it gets for it. */
#include "unit/transfer/puller_evil.h"

static uint8_t payload[SH_LEAF_OVERHEAD + SH_LEAF_SIZE];

static size_t make_leaf(uint32_t item, uint64_t index, size_t length)
{
    struct sh_leaf leaf = {.item = item, .index = index};
    memset(payload, 0x5a, sizeof(payload));
    leaf.data = SH_BYTES(payload + SH_LEAF_OVERHEAD, length);
    assert_ok(sh_leaf_hash(leaf.data, leaf.hash));
    sh_leaf_head(&leaf, payload);
    return SH_LEAF_OVERHEAD + length;
}

static void leaf(uint32_t item, uint64_t index, size_t length)
{
    give(SH_MSG_LEAF, payload, make_leaf(item, index, length));
}

static void root(uint32_t item, size_t length)
{
    Simhop__Root message = SIMHOP__ROOT__INIT;
    uint8_t bytes[64] = {1};
    message.item = item;
    message.root = (ProtobufCBinaryData){.data = bytes, .len = length};
    give_message(SH_MSG_ROOT, &message.base);
}

static void say_unasked_leaf(void)
{
    leaf(0, 64, SH_LEAF_SIZE); /* the window ends before it */
}
static void say_leaf_of_other_item(void)
{
    leaf(2, 0, 5);
}
static void say_leaf_far_away(void)
{
    leaf(0, UINT64_MAX, 5);
}
static void say_item_far_away(void)
{
    leaf(UINT32_MAX, 0, 5);
}
static void say_short_leaf(void)
{
    leaf(0, 0, 5);
}
static void say_wrong_hash(void)
{
    size_t n = make_leaf(0, 0, SH_LEAF_SIZE);
    payload[n - 1] ^= 1;
    give(SH_MSG_LEAF, payload, n);
}
static void say_empty_leaf(void)
{
    give(SH_MSG_LEAF, payload, SH_LEAF_OVERHEAD);
}
static void say_nothing_leaf(void)
{
    give(SH_MSG_LEAF, NULL, 0);
}
static void say_root_unasked(void)
{
    root(0, 32);
}
static void say_root_elsewhere(void)
{
    root(99, 32);
}
static void progress(uint32_t item, uint64_t verified, uint64_t total)
{
    Simhop__Progress message = SIMHOP__PROGRESS__INIT;
    message.item = item;
    message.verified = verified;
    message.total = total;
    give_message(SH_MSG_PROGRESS, &message.base);
}
static void say_progress(void)
{
    progress(1, 5, 5);
    progress(1, 3, 5); /* less than before */
}
static void say_progress_elsewhere(void)
{
    progress(2, 5, 5);
}
static void say_progress_of_another_size(void)
{
    progress(1, 5, 6);
}
static void say_too_much_progress(void)
{
    progress(1, 6, 5);
}
static void say_garbage_progress(void)
{
    give(SH_MSG_PROGRESS, "\xff\xff\xff", 3);
}
static void say_ack(void)
{
    give(SH_MSG_RECEIPT_ACK, NULL, 0);
}
static void say_pull(void)
{
    give(SH_MSG_PULL, NULL, 0);
}
static void say_hello(void)
{
    give(SH_MSG_HELLO, NULL, 0);
}
static void say_unknown(void)
{
    give(200, NULL, 0);
}
static void say_garbage_root(void)
{
    give(SH_MSG_ROOT, "\xff\xff\xff", 3);
}
static void say_manifest_again(void)
{
    give_message(SH_MSG_MANIFEST, &r.message.base);
}
static void say_garbage_manifest(void)
{
    give(SH_MSG_MANIFEST, "\xff\xff\xff", 3);
}

/* manifest: it is here already. */
static void test_out_of_turn(void **state SH_UNUSED)
{
    static const struct {
        bool asked, manifest;
        void (*say)(void);
        enum sh_cause cause;
    } table[] = {
        {true, true, say_unasked_leaf, SH_PROTO_WRONG_STATE},
        {true, true, say_leaf_of_other_item, SH_PROTO_WRONG_STATE},
        {true, true, say_leaf_far_away, SH_PROTO_WRONG_STATE},
        {true, true, say_item_far_away, SH_PROTO_WRONG_STATE},
        {true, true, say_short_leaf, SH_PROTO_MALFORMED},
        {true, true, say_wrong_hash, SH_TRANSFER_LEAF_MISMATCH},
        {true, true, say_empty_leaf, SH_PROTO_MALFORMED},
        {true, true, say_nothing_leaf, SH_PROTO_MALFORMED},
        {true, true, say_root_unasked, SH_PROTO_WRONG_STATE},
        {true, true, say_root_elsewhere, SH_PROTO_WRONG_STATE},
        {true, true, say_ack, SH_PROTO_WRONG_STATE},
        {true, true, say_pull, SH_PROTO_WRONG_STATE},
        {true, true, say_hello, SH_PROTO_WRONG_STATE},
        {true, true, say_unknown, SH_PROTO_WRONG_STATE},
        {true, true, say_garbage_root, SH_PROTO_MALFORMED},
        {true, true, say_progress, SH_OK},
        {true, true, say_progress_elsewhere, SH_PROTO_MALFORMED},
        {true, true, say_progress_of_another_size, SH_PROTO_MALFORMED},
        {true, true, say_too_much_progress, SH_PROTO_MALFORMED},
        {true, true, say_garbage_progress, SH_PROTO_MALFORMED},
        {true, true, say_manifest_again, SH_OK},
        {true, false, say_unasked_leaf, SH_PROTO_WRONG_STATE},
        {true, false, say_root_unasked, SH_PROTO_WRONG_STATE},
        {true, false, say_progress, SH_PROTO_MALFORMED},
        {true, false, say_ack, SH_PROTO_WRONG_STATE},
        {true, false, say_garbage_manifest, SH_PROTO_MALFORMED},
        {false, false, say_manifest_again, SH_OK}, /* of a link that is not up: not heard */
        {false, false, say_unknown, SH_OK},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        begin();
        make_manifest();
        r.items[0].size = 200 * SH_LEAF_SIZE;
        if (table[i].asked)
            sh_puller_link_up(puller, 1, LAN, 0, 0);
        if (table[i].manifest)
            give_message(SH_MSG_MANIFEST, &r.message.base);
        assert_int_equal(done_count, 0);
        table[i].say();
        assert_int_equal(done_count, table[i].cause != SH_OK);
        if (done_count > 0)
            assert_cause(result, table[i].cause);
        say_unknown(); /* after the end nothing is heard */
        leaf(0, 0, SH_LEAF_SIZE);
        assert_true(done_count <= 1);
        assert_false(exists(in_folder(folder, "n0")));
        end();
    }
}

/* A leaf counts once, however often it comes and whatever comes in its name later. */
static void test_twice(void **state SH_UNUSED)
{
    begin();
    make_manifest();
    sh_puller_link_up(puller, 1, LAN, 0, 0);
    give_message(SH_MSG_MANIFEST, &r.message.base);
    leaf(0, 0, SH_LEAF_SIZE);
    leaf(0, 0, SH_LEAF_SIZE);
    say_wrong_hash(); /* it is there already: not even looked at */
    assert_int_equal(done_count, 0);
    assert_int_equal(sh_puller_item(puller, 0)->verified, SH_LEAF_SIZE);
    assert_int_equal(sh_puller_bytes(puller, LAN), SH_LEAF_SIZE);
    end();
}

/* Two roots for one item. */
static void test_other_root(void **state SH_UNUSED)
{
    begin();
    make_manifest();
    sh_puller_link_up(puller, 1, LAN, 0, 0);
    give_message(SH_MSG_MANIFEST, &r.message.base);
    leaf(1, 0, 5); /* item 1 is complete, item 0 not: its root waits */
    assert_int_equal(sent[SH_MSG_ROOT_REQUEST], 1);
    root(1, 32);
    root(1, 32);
    assert_int_equal(done_count, 0);
    uint8_t other[32] = {2};
    Simhop__Root message = SIMHOP__ROOT__INIT;
    message.item = 1;
    message.root = (ProtobufCBinaryData){.data = other, .len = 32};
    give_message(SH_MSG_ROOT, &message.base);
    assert_int_equal(done_count, 1);
    assert_cause(result, SH_TRANSFER_ROOT_MISMATCH);
    end();
}

/* Who says that it reads is believed as long as it gets on, and no longer. */
static void test_reads_without_end(void **state SH_UNUSED)
{
    begin();
    make_manifest();
    sh_puller_link_up(puller, 1, LAN, 0, 0);
    give_message(SH_MSG_MANIFEST, &r.message.base);
    leaf(0, 0, SH_LEAF_SIZE);
    leaf(0, 1, 100000 - SH_LEAF_SIZE);
    leaf(1, 0, 5);
    sh_ms now = 0;
    for (uint64_t read = 1; now < 100000; now += 1000, read += 1) {
        at = now;
        progress(0, read, 100000);
        sh_puller_tick(puller, now);
        assert_int_equal(done_count, 0);
    }
    for (sh_ms last = now; done_count == 0 && now < last + 60000; now += 1000) {
        at = now;
        progress(0, 100, 100000);
        sh_puller_tick(puller, now);
    }
    assert_int_equal(done_count, 1);
    assert_cause(result, SH_TRANSFER_STALLED);
    assert_in_range(now, 100000 + SH_IDLE_MS - 2000, 100000 + SH_IDLE_MS + 2000);
    end();
}

static void hashes(uint32_t item, uint64_t first, size_t octets)
{
    static uint8_t bytes[(SH_LEAF_HASHES_MAX + 1) * SH_HASH_SIZE];
    Simhop__LeafHashes message = SIMHOP__LEAF_HASHES__INIT;
    message.item = item;
    message.first = first;
    message.hashes = (ProtobufCBinaryData){.data = bytes, .len = octets};
    give_message(SH_MSG_LEAF_HASHES, &message.base);
}

static void say_hashes(void)
{
    hashes(0, 0, 512 * 32);
}
static void say_hashes_twice(void)
{
    hashes(0, 0, 512 * 32);
    hashes(0, 0, 512 * 32);
    hashes(0, 511, 32);
}
static void say_hashes_of_other_item(void)
{
    hashes(1, 0, 32);
}
static void say_hashes_elsewhere(void)
{
    hashes(UINT32_MAX, 0, 32);
}
static void say_no_hashes(void)
{
    hashes(0, 0, 0);
}
static void say_half_a_hash(void)
{
    hashes(0, 0, 32 + 16);
}
static void say_too_many_hashes(void)
{
    hashes(0, 0, 513 * 32);
}
static void say_hashes_too_early(void)
{
    hashes(0, 1, 32);
}
static void say_hashes_behind_the_end(void)
{
    hashes(0, 600, 32);
}
static void say_hashes_over_the_end(void)
{
    hashes(0, 599, 64);
}
static void say_hashes_far_away(void)
{
    hashes(0, UINT64_MAX, 32);
}
static void say_garbage_hashes(void)
{
    give(SH_MSG_LEAF_HASHES, "\xff\xff\xff", 3);
}
static void say_request(void)
{
    give(SH_MSG_LEAF_HASHES_REQUEST, NULL, 0);
}

/* Item 0 has 600 leaves and an older copy, so that its hashes are asked for. */
static void test_hashes(void **state SH_UNUSED)
{
    static const struct {
        void (*say)(void);
        enum sh_cause cause;
        bool unasked;
    } table[] = {
        {say_hashes, SH_OK, false},
        {say_hashes_twice, SH_OK, false},
        {say_hashes_of_other_item, SH_PROTO_WRONG_STATE, false},
        {say_hashes_elsewhere, SH_PROTO_WRONG_STATE, false},
        {say_no_hashes, SH_PROTO_MALFORMED, false},
        {say_half_a_hash, SH_PROTO_MALFORMED, false},
        {say_too_many_hashes, SH_PROTO_MALFORMED, false},
        {say_hashes_too_early, SH_PROTO_WRONG_STATE, false},
        {say_hashes_behind_the_end, SH_PROTO_MALFORMED, false},
        {say_hashes_over_the_end, SH_PROTO_MALFORMED, false},
        {say_hashes_far_away, SH_PROTO_MALFORMED, false},
        {say_garbage_hashes, SH_PROTO_MALFORMED, false},
        {say_request, SH_PROTO_WRONG_STATE, false},
        {say_root_unasked, SH_PROTO_WRONG_STATE, false},
        {say_hashes, SH_PROTO_WRONG_STATE, true},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        begin();
        snprintf(older, sizeof(older), "%s/older", folder);
        make_manifest();
        r.items[0].size = 600 * SH_LEAF_SIZE;
        r.message.leaf_hashes = !table[i].unasked;
        sh_puller_link_up(puller, 1, LAN, 0, 0);
        give_message(SH_MSG_MANIFEST, &r.message.base);
        assert_int_equal(sent[SH_MSG_LEAF_HASHES_REQUEST], !table[i].unasked);
        assert_int_equal(done_count, 0);
        table[i].say();
        assert_int_equal(done_count, table[i].cause != SH_OK);
        if (done_count > 0)
            assert_cause(result, table[i].cause);
        else
            assert_int_equal(sent[SH_MSG_LEAF_HASHES_REQUEST], 2); /* the next ones */
        older[0] = '\0';
        end();
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_turn), cmocka_unit_test(test_twice),
        cmocka_unit_test(test_other_root),  cmocka_unit_test(test_reads_without_end),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
