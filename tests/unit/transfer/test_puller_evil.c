/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a hostile or broken anchor may say to a secondary, and what it gets for it. */
#include "transfer/puller.h"
#include "unit/transfer/util.h"

#define LAN SIMHOP__LINK_KIND__LINK_KIND_LAN

static char folder[PATH_SIZE];
static struct sh_store *store;
static struct sh_puller *puller;
static unsigned sent[64], done_count;
static enum sh_cause result;

static enum sh_cause on_send(sh_link_id link SH_UNUSED, unsigned type,
                             const ProtobufCMessage *message SH_UNUSED, void *user SH_UNUSED)
{
    assert_int_equal(done_count, 0);
    sent[type]++;
    return SH_OK;
}

static void on_drop(sh_link_id link SH_UNUSED, enum sh_cause cause SH_UNUSED, void *user SH_UNUSED)
{
}

static bool on_have(struct sh_puller_item *item SH_UNUSED, void *user SH_UNUSED)
{
    return false;
}

static enum sh_cause on_store(const struct sh_puller_item *item SH_UNUSED,
                              struct sh_store **ret_store, bool *ret_replace, void *user SH_UNUSED)
{
    *ret_store = store;
    *ret_replace = false;
    return SH_OK;
}

static char older[2 * PATH_SIZE]; /* of any item; empty: there is none */

static enum sh_cause on_older(const struct sh_puller_item *item SH_UNUSED,
                              char *paths[SH_STORE_OLDER], void *user SH_UNUSED)
{
    if (older[0])
        paths[0] = strdup(older);
    return SH_OK;
}

static void on_progress(uint32_t index SH_UNUSED, const struct sh_puller_item *item SH_UNUSED,
                        sh_link_id link SH_UNUSED, void *user SH_UNUSED)
{
}

static enum sh_cause on_finishing(uint32_t index SH_UNUSED,
                                  const struct sh_puller_item *item SH_UNUSED, void *user SH_UNUSED)
{
    return SH_OK;
}

static enum sh_cause on_finished(uint32_t index SH_UNUSED, struct sh_puller_item *item SH_UNUSED,
                                 void *user SH_UNUSED)
{
    return SH_OK;
}

static enum sh_cause on_sign(struct sh_bytes part SH_UNUSED, uint8_t **ret_signature,
                             size_t *ret_len, void *user SH_UNUSED)
{
    *ret_signature = calloc(1, 70);
    *ret_len = 70;
    return SH_OK;
}

static void on_done(enum sh_cause cause, void *user SH_UNUSED)
{
    done_count++;
    result = cause;
}

static const struct sh_puller_ops ops = {.send = on_send,
                                         .drop_link = on_drop,
                                         .have = on_have,
                                         .store = on_store,
                                         .older = on_older,
                                         .progress = on_progress,
                                         .finishing = on_finishing,
                                         .finished = on_finished,
                                         .sign = on_sign,
                                         .done = on_done};

static void begin(void)
{
    make_folder(folder);
    memset(sent, 0, sizeof(sent));
    done_count = 0;
    store = NULL;
    puller = NULL;
    assert_ok(sh_store_open(folder, &store));
    assert_ok(sh_puller_new(&ops, NULL, 0, &puller));
}

static void end(void)
{
    sh_puller_free(puller);
    sh_store_close(store);
    remove_tree(folder);
}

static void give(unsigned type, const void *bytes, size_t n)
{
    sh_puller_rx(puller, 1, type, SH_BYTES(bytes, n), 1);
}

static void give_message(unsigned type, const ProtobufCMessage *message)
{
    uint8_t *frame = NULL;
    size_t n = 0;
    assert_ok(sh_msg_frame(type, message, &frame, &n));
    give(type, frame + SH_FRAME_HEADER, n - SH_FRAME_HEADER);
    free(frame);
}

/* A manifest that may be bent: two items of 100000 and 5 octets. */
struct recipe {
    Simhop__Manifest message;
    Simhop__Item items[SH_ITEMS_MAX + 1], *list[SH_ITEMS_MAX + 1];
    uint8_t ids[SH_ITEMS_MAX + 1][40];
    char names[SH_ITEMS_MAX + 1][320];
    uint8_t transfer_id[40];
};

static struct recipe r;

static void add_item(uint64_t size)
{
    size_t i = r.message.n_items++;
    r.list[i] = &r.items[i];
    simhop__item__init(r.list[i]);
    r.ids[i][0] = (uint8_t)i;
    r.ids[i][1] = (uint8_t)(i >> 8);
    r.items[i].id = (ProtobufCBinaryData){.data = r.ids[i], .len = 16};
    snprintf(r.names[i], sizeof(r.names[i]), "n%zu", i);
    r.items[i].name = r.names[i];
    r.items[i].kind = SIMHOP__ITEM_KIND__ITEM_KIND_FILE;
    r.items[i].size = size;
}

static void make_manifest(void)
{
    memset(&r, 0, sizeof(r));
    simhop__manifest__init(&r.message);
    r.message.transfer_id = (ProtobufCBinaryData){.data = r.transfer_id, .len = 16};
    r.message.leaf_size = SH_LEAF_SIZE;
    r.message.items = r.list;
    add_item(100000);
    add_item(5);
}

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
        {true, true, say_manifest_again, SH_OK},
        {true, false, say_unasked_leaf, SH_PROTO_WRONG_STATE},
        {true, false, say_root_unasked, SH_PROTO_WRONG_STATE},
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
        cmocka_unit_test(test_manifests),   cmocka_unit_test(test_nul_in_name),
        cmocka_unit_test(test_out_of_turn), cmocka_unit_test(test_twice),
        cmocka_unit_test(test_other_root),  cmocka_unit_test(test_signed_part),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
