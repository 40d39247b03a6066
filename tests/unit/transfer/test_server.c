/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an anchor serves and answers, and what it refuses; its receipts are in test_server_receipt.c. */
#include <sys/resource.h>

#include "unit/transfer/server_user.h"

static void test_manifest(void **state SH_UNUSED)
{
    Simhop__ManifestRequest request = SIMHOP__MANIFEST_REQUEST__INIT;
    assert_ok(say(1, SH_MSG_MANIFEST_REQUEST, &request.base));
    assert_non_null(seen.manifest);
    assert_int_equal(seen.manifest->leaf_size, 65536);
    assert_true(seen.manifest->leaf_hashes);
    assert_int_equal(seen.manifest->n_items, 3);
    assert_memory_equal(seen.manifest->transfer_id.data, transfer_id, 16);
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(seen.manifest->items[i]->id.data, sh_item_id(items[i]), 16);
        assert_string_equal(seen.manifest->items[i]->name, sh_item_name(items[i]));
        assert_int_equal(seen.manifest->items[i]->size, sh_item_size(items[i]));
    }
}

/* Only as long as the link has room, then on when it has again; and only when it is the server's turn. */
static void test_room(void **state SH_UNUSED)
{
    assert_ok(pull(1, 0, 0, 41));
    assert_int_equal(seen.leaves[1], 0);
    for (unsigned i = 1; i <= 41; i++) {
        seen.pending[1] = SH_STREAM_HIGH - 1;
        assert_ok(work());
        assert_ok(work());
        assert_int_equal(seen.leaves[1], i);
    }
    assert_int_equal(seen.leaves[1], 41);
    assert_int_equal(seen.last_index, 40);
    assert_int_equal(sh_server_sent(server, 1), SIZE);
    sh_server_link_down(server, 1);
    assert_int_equal(sh_server_sent(server, 1), SIZE);
}

/* Links take turns even where one of them swallows everything. */
static void test_turns(void **state SH_UNUSED)
{
    bool more = true;
    sh_server_link_up(server, 2);
    seen.swallows = true;
    assert_ok(pull(1, 0, 0, 41));
    assert_ok(pull(2, 0, 0, 41));
    for (unsigned i = 1; more; i++) {
        assert_ok(sh_server_work(server, &more));
        assert_int_equal(seen.leaves[1], SH_MIN(i * SH_SERVER_BURST, 41));
        assert_int_equal(seen.leaves[2], seen.leaves[1]);
    }
    assert_int_equal(seen.leaves[1], 41);
    assert_int_equal(seen.leaves[2], 41);
}

static void check_hashes(uint64_t first, size_t count)
{
    assert_int_equal(seen.hashes_first, first);
    assert_int_equal(seen.hashes_count, count);
    for (size_t i = 0; i < count; i++) {
        uint8_t hash[32];
        uint64_t leaf = first + i;
        assert_ok(sh_leaf_hash(SH_BYTES(bytes[0] + leaf * SH_LEAF_SIZE, sh_leaf_length(SIZE, leaf)),
                               hash));
        assert_memory_equal(hash, seen.hashes + i * 32, 32);
    }
}

/* A little at a time; and when all were asked for in order, the root is known without reading again. */
static void test_hashes(void **state SH_UNUSED)
{
    bool more = false;
    assert_ok(ask_hashes(1, 0, 0, 20));
    assert_ok(sh_server_work(server, &more));
    assert_true(more);
    assert_int_equal(seen.sent[SH_MSG_LEAF_HASHES], 0);
    assert_ok(ask_hashes(1, 0, 0, 20)); /* again: it is on its way */
    assert_ok(sh_server_work(server, &more));
    assert_int_equal(seen.sent[SH_MSG_LEAF_HASHES], 1);
    check_hashes(0, 20);
    assert_false(sh_item_sealed(items[0]));
    assert_ok(ask_hashes(1, 0, 20, 21));
    assert_ok(work());
    check_hashes(20, 21);
    assert_true(sh_item_sealed(items[0]));
    assert_ok(ask_hashes(1, 0, 7, 1)); /* also of one that is sealed */
    assert_ok(work());
    check_hashes(7, 1);
    assert_int_equal(seen.sent[SH_MSG_LEAF_HASHES], 3);
    assert_int_equal(sh_server_sent(server, 1), 0);
}

/* One range a link: who asks for another one gets that one. Links take turns; one that goes takes its own along. */
static void test_hashes_of_links(void **state SH_UNUSED)
{
    sh_server_link_up(server, 2);
    assert_ok(ask_hashes(1, 0, 0, 40));
    assert_ok(ask_hashes(1, 0, 5, 30));
    assert_ok(ask_hashes(2, 0, 0, 41));
    sh_server_link_down(server, 2);
    assert_ok(work());
    assert_int_equal(seen.sent[SH_MSG_LEAF_HASHES], 1);
    check_hashes(5, 30);
    assert_ok(ask_hashes(1, 0, 0, 40));
    sh_server_link_up(server, 1); /* anew */
    assert_ok(ask_hashes(1, 0, 0, 1));
    assert_ok(work());
    assert_int_equal(seen.sent[SH_MSG_LEAF_HASHES], 2);
    check_hashes(0, 1);
}

static void test_bad_hashes(void **state SH_UNUSED)
{
    assert_cause(ask_hashes(1, 0, 0, 0), SH_PROTO_MALFORMED);
    assert_cause(ask_hashes(1, 0, 0, 42), SH_PROTO_MALFORMED);
    assert_cause(ask_hashes(1, 0, 41, 1), SH_PROTO_MALFORMED);
    assert_cause(ask_hashes(1, 0, UINT64_MAX, 2), SH_PROTO_MALFORMED);
    assert_cause(ask_hashes(1, 1, 0, 1), SH_PROTO_MALFORMED); /* it has none */
    assert_cause(ask_hashes(1, 3, 0, 1), SH_PROTO_MALFORMED);
    assert_ok(work());
    assert_int_equal(seen.sent[SH_MSG_LEAF_HASHES], 0);
}

/* No more than fit into an answer, though the item has more. */
static void test_most_hashes(void **state SH_UNUSED)
{
    char folder[PATH_SIZE];
    struct sh_item *item = NULL;
    struct sh_server *usual = server;
    make_folder(folder);
    const char *path = in_folder(folder, "large");
    write_file(path, "", 0);
    assert_int_equal(truncate(path, 600 * SH_LEAF_SIZE), 0);
    assert_ok(sh_item_open_file(NULL, path, anchor_id, &item));
    assert_ok(sh_server_new(&item, 1, transfer_id, &ops, NULL, &server));
    sh_server_link_up(server, 1);
    assert_ok(ask_hashes(1, 0, 88, SH_LEAF_HASHES_MAX));
    assert_cause(ask_hashes(1, 0, 0, SH_LEAF_HASHES_MAX + 1), SH_PROTO_MALFORMED);
    sh_server_free(server);
    server = usual;
    sh_item_free(item);
    remove_tree(folder);
}

static void test_bad_pulls(void **state SH_UNUSED)
{
    static const struct {
        uint32_t item;
        uint64_t first;
        uint32_t count;
        enum sh_cause cause;
    } table[] = {
        {0, 0, 0, SH_PROTO_MALFORMED},
        {0, 0, 42, SH_PROTO_MALFORMED},
        {0, 41, 1, SH_PROTO_MALFORMED},
        {0, 40, 2, SH_PROTO_MALFORMED},
        {0, UINT64_MAX, 1, SH_PROTO_MALFORMED},
        {0, UINT64_MAX, 4096, SH_PROTO_MALFORMED},
        {0, 0, 4097, SH_PROTO_MALFORMED},
        {0, 0, UINT32_MAX, SH_PROTO_MALFORMED},
        {1, 0, 1, SH_PROTO_MALFORMED}, /* it has no leaf */
        {3, 0, 1, SH_PROTO_MALFORMED},
        {UINT32_MAX, 0, 1, SH_PROTO_MALFORMED},
        {2, 0, 1, SH_OK},
        {0, 40, 1, SH_OK},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++)
        assert_cause(pull(1, table[i].item, table[i].first, table[i].count), table[i].cause);
    seen.swallows = true;
    assert_ok(work());
    assert_int_equal(seen.leaves[1], 2);
}

static void test_too_many_pulls(void **state SH_UNUSED)
{
    seen.pending[1] = SH_STREAM_HIGH;
    for (unsigned i = 0; i < SH_SERVER_PULLS; i++)
        assert_ok(pull(1, 0, i, 1));
    assert_cause(pull(1, 0, 30, 1), SH_PROTO_WRONG_STATE);
}

/* Asking on and on without reading the answers. */
static void test_no_reader(void **state SH_UNUSED)
{
    Simhop__ManifestRequest request = SIMHOP__MANIFEST_REQUEST__INIT;
    seen.pending[1] = SH_STREAM_MOST;
    assert_ok(say(1, SH_MSG_MANIFEST_REQUEST, &request.base));
    seen.pending[1] = SH_STREAM_MOST + 1;
    assert_cause(say(1, SH_MSG_MANIFEST_REQUEST, &request.base), SH_PROTO_WRONG_STATE);
}

static void test_roots(void **state SH_UNUSED)
{
    uint8_t expected[32];
    assert_ok(ask_root(1, 1)); /* nothing to hash: at once */
    assert_int_equal(seen.sent[SH_MSG_ROOT], 1);
    assert_ok(ask_root(1, 0));
    assert_ok(ask_root(1, 0));
    assert_int_equal(seen.sent[SH_MSG_ROOT], 1);
    assert_ok(work());
    assert_int_equal(seen.sent[SH_MSG_ROOT], 2);
    reference_root(bytes[0], SIZE, expected);
    assert_memory_equal(seen.root, expected, 32);
    assert_cause(ask_root(1, 3), SH_PROTO_MALFORMED);
}

/* Serving in order seals on the way. */
static void test_sealed_by_serving(void **state SH_UNUSED)
{
    for (unsigned i = 0; i < 41; i++) {
        seen.pending[1] = 0;
        assert_ok(pull(1, 0, i, 1));
        assert_ok(work());
    }
    assert_true(sh_item_sealed(items[0]));
    assert_ok(ask_root(1, 0));
    assert_int_equal(seen.sent[SH_MSG_ROOT], 1);
}

static void test_progress(void **state SH_UNUSED)
{
    static const struct {
        uint32_t item;
        uint64_t verified, total;
        enum sh_cause cause;
    } table[] = {{0, 0, SIZE, SH_OK},
                 {0, SIZE, SIZE, SH_OK},
                 {0, SIZE + 1, SIZE, SH_PROTO_MALFORMED},
                 {0, 5, SIZE + 1, SH_PROTO_MALFORMED},
                 {3, 0, 0, SH_PROTO_MALFORMED}};
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        Simhop__Progress message = SIMHOP__PROGRESS__INIT;
        message.item = table[i].item;
        message.verified = table[i].verified;
        message.total = table[i].total;
        assert_cause(say(1, SH_MSG_PROGRESS, &message.base), table[i].cause);
    }
    assert_int_equal(seen.progress, 2);
    assert_ok(work());
    assert_true(sh_item_sealed(items[0])); /* it has all: the root will be wanted */
}

static enum sh_cause ask_root_and_hear(sh_link_id link)
{
    Simhop__RootRequest message = SIMHOP__ROOT_REQUEST__INIT;
    message.progress = true;
    return say(link, SH_MSG_ROOT_REQUEST, &message.base);
}

/* While much is read for a root, whoever waits for that and says that it takes it hears so, each 8 MiB; nobody else. */
static void test_reading_is_told(void **state SH_UNUSED)
{
    static const size_t size = 20 * 1024 * 1024;
    struct sh_server *other = server;
    struct sh_item *big = NULL;
    uint8_t *octets = content(9, size);
    assert_ok(sh_item_open_memory("big", SIMHOP__ITEM_KIND__ITEM_KIND_FILE, SH_BYTES(octets, size),
                                  anchor_id, &big));
    assert_ok(sh_server_new(&big, 1, transfer_id, &ops, NULL, &server));
    for (sh_link_id link = 1; link <= 3; link++)
        sh_server_link_up(server, link);
    assert_ok(ask_root(1, 0));
    assert_ok(ask_root_and_hear(2));
    assert_ok(work());
    assert_int_equal(seen.sent[SH_MSG_ROOT], 2);
    assert_int_equal(seen.progress_on[2], 2);
    assert_int_equal(seen.progress_on[1] + seen.progress_on[3], 0);
    sh_server_free(server);
    server = other;
    sh_item_free(big);
    free(octets);
}

static void test_not_for_us(void **state SH_UNUSED)
{
    static const unsigned types[] = {
        SH_MSG_HELLO,       SH_MSG_MANIFEST,    SH_MSG_LEAF, SH_MSG_ROOT, SH_MSG_PONG,
        SH_MSG_RECEIPT_ACK, SH_MSG_LEAF_HASHES, 0,           43,          255};
    for (size_t i = 0; i < SH_COUNT(types); i++)
        assert_cause(sh_server_rx(server, 1, types[i], SH_BYTES(NULL, 0)), SH_PROTO_WRONG_STATE);
    assert_cause(sh_server_rx(server, 1, SH_MSG_PULL, SH_BYTES("\xff", 1)), SH_PROTO_MALFORMED);
    assert_ok(sh_server_rx(server, 2, SH_MSG_LEAF, SH_BYTES(NULL, 0))); /* not up: not heard */
}

static void test_ping(void **state SH_UNUSED)
{
    Simhop__Ping ping = SIMHOP__PING__INIT;
    assert_ok(say(1, SH_MSG_PING, &ping.base));
    assert_int_equal(seen.sent[SH_MSG_PONG], 1);
}

/* A link that fails while it is written to is forgotten, with what it asked for. */
static void test_link_gone(void **state SH_UNUSED)
{
    assert_ok(pull(1, 0, 0, 41));
    assert_ok(work());
    assert_int_equal(seen.leaves[1], 1);
    seen.gone = true;
    seen.pending[1] = 0;
    assert_ok(work());
    seen.gone = false;
    assert_ok(work());
    assert_int_equal(seen.leaves[1], 1);
    sh_server_link_up(server, 1);
    assert_ok(work());
    assert_int_equal(seen.leaves[1], 1);
}

static void test_many_links(void **state SH_UNUSED)
{
    for (sh_link_id id = 1; id <= 3; id++) {
        sh_server_link_up(server, id);
        assert_ok(pull(id, 2, 0, 1));
        assert_ok(work());
    }
    for (sh_link_id id = 4; id < 200; id++) {
        sh_server_link_up(server, id); /* more than it takes */
        sh_server_link_down(server, id - 3);
    }
    sh_server_link_up(server, 1); /* there is room again */
    assert_ok(pull(1, 2, 0, 1));
    assert_ok(work());
    assert_int_equal(seen.leaves[1], 2);
}

static void test_new(void **state SH_UNUSED)
{
    struct sh_server *other = NULL;
    struct sh_item *twins[2] = {items[0], items[0]}, *many[300] = {NULL};
    assert_cause(sh_server_new(items, 0, transfer_id, &ops, NULL, &other),
                 SH_TRANSFER_BAD_MANIFEST);
    assert_cause(sh_server_new(items, SH_ITEMS_MAX + 1, transfer_id, &ops, NULL, &other),
                 SH_TRANSFER_BAD_MANIFEST);
    assert_cause(sh_server_new(twins, 2, transfer_id, &ops, NULL, &other),
                 SH_TRANSFER_BAD_MANIFEST);
    for (size_t i = 0; i < SH_COUNT(many); i++) {
        char name[SH_ITEM_NAME_MAX + 1];
        memset(name, 'x', sizeof(name));
        snprintf(name + 240, 15, "%zu", i);
        assert_ok(sh_item_open_memory(name, SIMHOP__ITEM_KIND__ITEM_KIND_FILE, SH_BYTES(NULL, 0),
                                      anchor_id, &many[i]));
    }
    assert_cause(sh_server_new(many, 300, transfer_id, &ops, NULL, &other),
                 SH_TRANSFER_BAD_MANIFEST);
    assert_ok(sh_server_new(many, 200, transfer_id, &ops, NULL, &other));
    sh_server_free(other);
    for (size_t i = 0; i < SH_COUNT(many); i++)
        sh_item_free(many[i]);
}

/* A thousand files and few descriptors; and one of them changes. */
static void test_files(void **state SH_UNUSED)
{
    static struct sh_item *files[1000];
    char folder[PATH_SIZE], name[32];
    struct rlimit old, few;
    bool more = false;
    make_folder(folder);
    for (size_t i = 0; i < SH_COUNT(files); i++) {
        snprintf(name, sizeof(name), "f%zu", i);
        write_file(in_folder(folder, name), bytes[0], 1);
        assert_ok(sh_item_open_file(NULL, in_folder(folder, name), anchor_id, &files[i]));
    }
    struct sh_server *other = server;
    assert_ok(sh_server_new(files, SH_COUNT(files), transfer_id, &ops, NULL, &server));
    sh_server_link_up(server, 1);
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &few);
    for (uint32_t i = 0; i < SH_COUNT(files); i++)
        assert_ok(ask_root(1, i));
    assert_ok(work());
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(seen.sent[SH_MSG_ROOT], 1000);
    write_file(in_folder(folder, "f7"), "changed", 7);
    assert_ok(pull(1, 7, 0, 1));
    assert_int_equal(sh_server_changed(server), 0);
    assert_cause(sh_server_work(server, &more), SH_TRANSFER_SOURCE_CHANGED);
    assert_int_equal(sh_server_changed(server), 8);
    sh_server_free(server);
    server = other;
    for (size_t i = 0; i < SH_COUNT(files); i++)
        sh_item_free(files[i]);
    remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_manifest),
        TEST(test_room),
        TEST(test_turns),
        TEST(test_hashes),
        TEST(test_hashes_of_links),
        TEST(test_bad_hashes),
        TEST(test_most_hashes),
        TEST(test_bad_pulls),
        TEST(test_too_many_pulls),
        TEST(test_no_reader),
        TEST(test_roots),
        TEST(test_sealed_by_serving),
        TEST(test_progress),
        TEST(test_reading_is_told),
        TEST(test_not_for_us),
        TEST(test_ping),
        TEST(test_link_gone),
        TEST(test_many_links),
        TEST(test_new),
        TEST(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
