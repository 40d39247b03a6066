/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receipts: which are taken, when they are acknowledged, and how often. */
#include "unit/transfer/server_user.h"

static size_t digests, digest_len = 32; /* that the next ones have */

static enum sh_cause receipt(size_t count, size_t root_len, bool wrong, bool other_transfer)
{
    uint8_t roots[4][33] = {{0}}, id[16];
    ProtobufCBinaryData list[4], sha256[4];
    Simhop__Receipt message = SIMHOP__RECEIPT__INIT;
    memcpy(id, transfer_id, 16);
    id[3] ^= other_transfer;
    for (size_t i = 0; i < count; i++) {
        if (i < 3)
            reference_root(bytes[i], sh_item_size(items[i]), roots[i]);
        list[i] = (ProtobufCBinaryData){.data = roots[i], .len = root_len};
        sha256[i] = (ProtobufCBinaryData){.data = roots[i], .len = digest_len};
    }
    roots[1][9] ^= wrong;
    message.transfer_id = (ProtobufCBinaryData){.data = id, .len = 16};
    message.roots = list;
    message.n_roots = count;
    message.sha256 = sha256;
    message.n_sha256 = digests;
    return say(1, SH_MSG_RECEIPT, &message.base);
}

static void test_receipt(void **state SH_UNUSED)
{
    assert_cause(receipt(3, 32, false, true), SH_PROTO_MALFORMED);
    assert_cause(receipt(2, 32, false, false), SH_PROTO_MALFORMED);
    assert_cause(receipt(4, 32, false, false), SH_PROTO_MALFORMED);
    assert_cause(receipt(3, 31, false, false), SH_PROTO_MALFORMED);
    assert_cause(receipt(3, 33, false, false), SH_PROTO_MALFORMED);
    assert_ok(receipt(3, 32, false, false)); /* waits for the hashing; again: takes its place */
    assert_ok(receipt(3, 32, false, false));
    assert_int_equal(seen.receipts, 0);
    assert_ok(work());
    assert_int_equal(seen.receipts, 1);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 1);
    assert_ok(receipt(3, 32, false, false)); /* asked again: acknowledged again, kept once */
    assert_int_equal(seen.receipts, 1);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 2);
    assert_cause(receipt(3, 32, true, false), SH_TRANSFER_ROOT_MISMATCH);
}

/* The SHA-256 of all items are in it, or none is. */
static void test_receipt_digests(void **state SH_UNUSED)
{
    digests = 2;
    assert_cause(receipt(3, 32, false, false), SH_PROTO_MALFORMED);
    digests = 4;
    assert_cause(receipt(3, 32, false, false), SH_PROTO_MALFORMED);
    digests = 3;
    for (digest_len = 31; digest_len <= 33; digest_len += 2)
        assert_cause(receipt(3, 32, false, false), SH_PROTO_MALFORMED);
    digest_len = 32;
    assert_ok(receipt(3, 32, false, false));
    assert_ok(work());
    assert_int_equal(seen.receipts, 1);
    digests = 0;
    assert_ok(receipt(3, 32, false, false));
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 2);
}

/* Nothing is acknowledged before it is durable, however often the secondary asks; then once, where it asked last. */
static void test_receipt_kept_later(void **state SH_UNUSED)
{
    seen.keeps_later = true;
    assert_ok(receipt(3, 32, false, false));
    assert_ok(work());
    assert_int_equal(seen.receipts, 1);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 0);
    assert_ok(receipt(3, 32, false, false));
    assert_ok(work());
    assert_int_equal(seen.receipts, 1);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 0);
    sh_server_receipt_kept(server);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 1);
    assert_ok(receipt(3, 32, false, false));
    assert_int_equal(seen.receipts, 1);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 2);
}

/* The link on which it came is gone until then: it is kept all the same, and acknowledged when it is asked for again. */
static void test_receipt_kept_without_a_link(void **state SH_UNUSED)
{
    seen.keeps_later = true;
    assert_ok(receipt(3, 32, false, false));
    assert_ok(work());
    sh_server_link_down(server, 1);
    sh_server_receipt_kept(server);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 0);
    sh_server_link_up(server, 1);
    assert_ok(receipt(3, 32, false, false));
    assert_int_equal(seen.receipts, 1);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 1);
}

static void test_wrong_receipt(void **state SH_UNUSED)
{
    assert_ok(receipt(3, 32, true, false));
    assert_cause(work(), SH_TRANSFER_ROOT_MISMATCH);
    assert_int_equal(seen.receipts, 0);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 0);
}

static void test_refused_receipt(void **state SH_UNUSED)
{
    seen.receipt_cause = SH_BUNDLE_BAD_SIGNATURE;
    assert_ok(receipt(3, 32, false, false));
    assert_cause(work(), SH_BUNDLE_BAD_SIGNATURE);
    assert_int_equal(seen.sent[SH_MSG_RECEIPT_ACK], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_receipt),
        TEST(test_receipt_digests),
        TEST(test_receipt_kept_later),
        TEST(test_receipt_kept_without_a_link),
        TEST(test_wrong_receipt),
        TEST(test_refused_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
