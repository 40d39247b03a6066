/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests that a secondary does not take, and what is signed in the end. */
#include "unit/transfer/puller_evil.h"

static void bend_nothing(void) {}
static void bend_transfer_id(void)
{
    r.message.transfer_id.len = 15;
}
static void bend_long_transfer_id(void)
{
    r.message.transfer_id.len = 17;
}
static void bend_leaf_size(void)
{
    r.message.leaf_size = 65535;
}
static void bend_no_leaf_size(void)
{
    r.message.leaf_size = 0;
}
static void bend_no_items(void)
{
    r.message.n_items = 0;
}
static void bend_too_many(void)
{
    while (r.message.n_items <= SH_ITEMS_MAX)
        add_item(0);
}
static void bend_short_id(void)
{
    r.items[1].id.len = 15;
}
static void bend_long_id(void)
{
    r.items[1].id.len = 17;
}
static void bend_no_id(void)
{
    r.items[0].id.len = 0;
}
static void bend_same_id(void)
{
    memcpy(r.ids[1], r.ids[0], 16);
}
static void bend_same_name(void)
{
    strcpy(r.names[1], "n0");
}
static void bend_kind_zero(void)
{
    r.items[1].kind = SIMHOP__ITEM_KIND__ITEM_KIND_UNSPECIFIED;
}
static void bend_kind_unknown(void)
{
    r.items[1].kind = (Simhop__ItemKind)3;
}
static void bend_kind_huge(void)
{
    r.items[1].kind = (Simhop__ItemKind)0x7fffffff;
}
static void bend_size(void)
{
    r.items[1].size = SH_ITEM_SIZE_MAX + 1;
}
static void bend_size_most(void)
{
    r.items[1].size = UINT64_MAX;
}
static void bend_space(void)
{
    r.items[1].size = SH_ITEM_SIZE_MAX;
}
static void bend_bundle_size(void)
{
    r.items[1].kind = SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE;
    r.items[1].size = SH_BUNDLE_MAX + 1;
}
static void bend_slash(void)
{
    strcpy(r.names[1], "../../etc/passwd");
}
static void bend_absolute(void)
{
    strcpy(r.names[1], "/etc/passwd");
}
static void bend_dots(void)
{
    strcpy(r.names[1], "..");
}
static void bend_work_folder(void)
{
    strcpy(r.names[1], ".simhop");
}
static void bend_no_name(void)
{
    r.names[1][0] = '\0';
}
static void bend_long_name(void)
{
    memset(r.names[1], 'x', 300);
}
static void bend_control(void)
{
    strcpy(r.names[1], "a\033[2Jb");
}
static void bend_utf8(void)
{
    strcpy(r.names[1], "a\xff");
}

static void test_manifests(void **state SH_UNUSED)
{
    static const struct {
        void (*bend)(void);
        enum sh_cause cause;
    } table[] = {
        {bend_nothing, SH_OK},
        {bend_transfer_id, SH_TRANSFER_BAD_MANIFEST},
        {bend_long_transfer_id, SH_TRANSFER_BAD_MANIFEST},
        {bend_leaf_size, SH_TRANSFER_BAD_MANIFEST},
        {bend_no_leaf_size, SH_TRANSFER_BAD_MANIFEST},
        {bend_no_items, SH_TRANSFER_BAD_MANIFEST},
        {bend_too_many, SH_TRANSFER_BAD_MANIFEST},
        {bend_short_id, SH_TRANSFER_BAD_MANIFEST},
        {bend_long_id, SH_TRANSFER_BAD_MANIFEST},
        {bend_no_id, SH_TRANSFER_BAD_MANIFEST},
        {bend_same_id, SH_TRANSFER_BAD_MANIFEST},
        {bend_same_name, SH_TRANSFER_BAD_MANIFEST},
        {bend_kind_zero, SH_PROTO_UNKNOWN_ENUM},
        {bend_kind_unknown, SH_PROTO_UNKNOWN_ENUM},
        {bend_kind_huge, SH_PROTO_UNKNOWN_ENUM},
        {bend_size, SH_TRANSFER_BAD_MANIFEST},
        {bend_size_most, SH_TRANSFER_BAD_MANIFEST},
        {bend_space, SH_STORE_NO_SPACE},
        {bend_bundle_size, SH_TRANSFER_BAD_MANIFEST},
        {bend_slash, SH_STORE_BAD_NAME},
        {bend_absolute, SH_STORE_BAD_NAME},
        {bend_dots, SH_STORE_BAD_NAME},
        {bend_work_folder, SH_STORE_BAD_NAME},
        {bend_no_name, SH_STORE_BAD_NAME},
        {bend_long_name, SH_STORE_BAD_NAME},
        {bend_control, SH_STORE_BAD_NAME},
        {bend_utf8, SH_STORE_BAD_NAME},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        begin();
        make_manifest();
        table[i].bend();
        sh_puller_link_up(puller, 1, LAN, 0, 0);
        give_message(SH_MSG_MANIFEST, &r.message.base);
        assert_int_equal(done_count, table[i].cause != SH_OK);
        if (done_count > 0) {
            assert_cause(result, table[i].cause);
            assert_int_equal(sent[SH_MSG_PULL], 0);
            sh_store_closep(&store);
            assert_int_equal(count_entries(folder), 0);
        }
        end();
    }
}

/* A NUL inside a name: C would see another name than the anchor meant. */
static void test_nul_in_name(void **state SH_UNUSED)
{
    static uint8_t packed[400];
    begin();
    make_manifest();
    strcpy(r.names[1], "safe?.txt");
    size_t n = simhop__manifest__pack(&r.message, packed);
    for (size_t i = 0; i < n; i++) {
        if (packed[i] == '?')
            packed[i] = '\0';
    }
    sh_puller_link_up(puller, 1, LAN, 0, 0);
    give(SH_MSG_MANIFEST, packed, n);
    assert_int_equal(done_count, 1);
    assert_cause(result, SH_PROTO_MALFORMED);
    end();
}
static void test_signed_part(void **state SH_UNUSED)
{
    const uint8_t *id = (const uint8_t *)"0123456789abcdef";
    const uint8_t *roots = (const uint8_t *)"root of one item, 32 octets long";
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_ok(sh_receipt_signed_part(id, roots, 1, &bytes, &n));
    assert_int_equal(n, 52);
    assert_memory_equal(bytes, "0123456789abcdef\0\0\0\1root of one item, 32 octets long", 52);
    free(bytes);
    assert_ok(sh_receipt_signed_part(id, NULL, 0, &bytes, &n));
    assert_int_equal(n, 20);
    free(bytes);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifests),
        cmocka_unit_test(test_nul_in_name),
        cmocka_unit_test(test_signed_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
