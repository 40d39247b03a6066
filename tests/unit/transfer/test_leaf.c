/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/leaf.h"

#include "unit/transfer/util.h"

static void test_lengths(void **state SH_UNUSED)
{
    static const struct {
        uint64_t size, leaves;
        uint32_t last;
    } table[] = {
        {0, 0, 0},
        {1, 1, 1},
        {65535, 1, 65535},
        {65536, 1, 65536},
        {65537, 2, 1},
        {131072, 2, 65536},
        {131073, 3, 1},
        {UINT64_C(10) << 30, 163840, 65536},
        {(UINT64_C(1) << 44) - 1, UINT64_C(1) << 28, 65535},
        {UINT64_MAX, UINT64_C(1) << 48, 65535},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        assert_int_equal(sh_leaf_count(table[i].size), table[i].leaves);
        assert_int_equal(sh_leaf_length(table[i].size, table[i].leaves), 0);
        assert_int_equal(sh_leaf_length(table[i].size, UINT64_MAX), 0);
        if (table[i].leaves > 0)
            assert_int_equal(sh_leaf_length(table[i].size, table[i].leaves - 1), table[i].last);
        if (table[i].leaves > 1)
            assert_int_equal(sh_leaf_length(table[i].size, 0), SH_LEAF_SIZE);
    }
}

/* The layout is a contract with other implementations: octet by octet. */
static void test_layout(void **state SH_UNUSED)
{
    uint8_t payload[SH_LEAF_OVERHEAD + 3] = {0x01, 0x02, 0x03, 0x04, 0x11, 0x12,
                                             0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
    uint8_t head[SH_LEAF_OVERHEAD];
    struct sh_leaf leaf;
    memset(payload + 12, 0xaa, 32);
    memcpy(payload + 44, "abc", 3);
    assert_ok(sh_leaf_read(SH_BYTES(payload, sizeof(payload)), &leaf));
    assert_int_equal(leaf.item, 0x01020304);
    assert_int_equal(leaf.index, 0x1112131415161718);
    assert_int_equal(leaf.hash[0], 0xaa);
    assert_int_equal(leaf.hash[31], 0xaa);
    assert_int_equal(leaf.data.n, 3);
    assert_memory_equal(leaf.data.p, "abc", 3);
    sh_leaf_head(&leaf, head);
    assert_memory_equal(head, payload, sizeof(head));
}

static void test_sizes(void **state SH_UNUSED)
{
    static uint8_t payload[SH_LEAF_OVERHEAD + SH_LEAF_SIZE + 1];
    static const struct {
        size_t n;
        enum sh_cause cause;
    } table[] = {{0, SH_PROTO_MALFORMED},
                 {1, SH_PROTO_MALFORMED},
                 {43, SH_PROTO_MALFORMED},
                 {44, SH_PROTO_MALFORMED},
                 {45, SH_OK},
                 {44 + 65536, SH_OK},
                 {44 + 65537, SH_PROTO_MALFORMED}};
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        struct sh_leaf leaf;
        assert_cause(sh_leaf_read(SH_BYTES(payload, table[i].n), &leaf), table[i].cause);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
