/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/server.h"

#include <sys/resource.h>

#include "proto/stream.h"
#include "unit/transfer/util.h"

#define SIZE (40 * SH_LEAF_SIZE + 3)

static const uint8_t anchor_id[16] = {1}, transfer_id[16] = "a transfer's id";
static struct sh_item *items[3];
static uint8_t *bytes[3];
static struct sh_server *server;

static struct {
    unsigned sent[64], leaves[4], receipts, progress;
    size_t pending[4]; /* what the links say */
    uint64_t last_index;
    uint8_t root[32];
    uint8_t hashes[64 * 32]; /* the last that came, */
    uint64_t hashes_first;
    size_t hashes_count;
    Simhop__Manifest *manifest;
    bool gone, swallows; /* the links; for good */
    enum sh_cause receipt_cause;
    bool keeps_later;
} seen;

static enum sh_cause on_send(sh_link_id link SH_UNUSED, unsigned type,
                             const ProtobufCMessage *message, void *user SH_UNUSED)
{
    if (seen.gone)
        return SH_CONNECT_LOST;
    seen.sent[type]++;
    if (type == SH_MSG_ROOT)
        memcpy(seen.root, ((const Simhop__Root *)message)->root.data, 32);
    if (type == SH_MSG_LEAF_HASHES) {
        const Simhop__LeafHashes *in = (const Simhop__LeafHashes *)message;
        assert_true(in->hashes.len <= sizeof(seen.hashes));
        memcpy(seen.hashes, in->hashes.data, in->hashes.len);
        seen.hashes_first = in->first;
        seen.hashes_count = in->hashes.len / 32;
    }
    if (type == SH_MSG_MANIFEST) {
        uint8_t *frame = NULL;
        size_t n = 0;
        ProtobufCMessage *copy = NULL;
        if (seen.manifest)
            sh_msg_free(&seen.manifest->base);
        assert_ok(sh_msg_frame(type, message, &frame, &n));
        assert_ok(sh_msg_unpack(type, SH_BYTES(frame + 4, n - 4), &copy));
        seen.manifest = (Simhop__Manifest *)copy;
        free(frame);
    }
    return SH_OK;
}

static enum sh_cause on_leaf(sh_link_id link, const struct sh_leaf *leaf, void *user SH_UNUSED)
{
    uint8_t hash[32];
    if (seen.gone)
        return SH_CONNECT_LOST;
    seen.leaves[link]++;
    if (!seen.swallows)
        seen.pending[link] += leaf->data.n;
    seen.last_index = leaf->index;
    assert_int_equal(leaf->data.n, sh_leaf_length(sh_item_size(items[leaf->item]), leaf->index));
    assert_memory_equal(leaf->data.p, bytes[leaf->item] + leaf->index * SH_LEAF_SIZE, leaf->data.n);
    assert_ok(sh_leaf_hash(leaf->data, hash));
    assert_memory_equal(hash, leaf->hash, 32);
    return SH_OK;
}

static size_t on_pending(sh_link_id link, void *user SH_UNUSED)
{
    return seen.pending[link];
}

static void on_progress(uint32_t item SH_UNUSED, uint64_t verified SH_UNUSED,
                        uint64_t total SH_UNUSED, void *user SH_UNUSED)
{
    seen.progress++;
}

static enum sh_cause on_receipt(const Simhop__Receipt *receipt SH_UNUSED, void *user SH_UNUSED)
{
    seen.receipts++;
    if (seen.receipt_cause == SH_OK && !seen.keeps_later)
        sh_server_receipt_kept(server);
    return seen.receipt_cause;
}

static const struct sh_server_ops ops = {.send = on_send,
                                         .send_leaf = on_leaf,
                                         .pending = on_pending,
                                         .progress = on_progress,
                                         .receipt = on_receipt};

static int set_up(void **state SH_UNUSED)
{
    static const size_t sizes[] = {SIZE, 0, 7};
    memset(&seen, 0, sizeof(seen));
    for (size_t i = 0; i < SH_COUNT(items); i++) {
        char name[8];
        snprintf(name, sizeof(name), "i%zu", i);
        bytes[i] = content((unsigned)i, sizes[i]);
        assert_ok(sh_item_open_memory(name, SIMHOP__ITEM_KIND__ITEM_KIND_FILE,
                                      SH_BYTES(bytes[i], sizes[i]), anchor_id, &items[i]));
    }
    assert_ok(sh_server_new(items, SH_COUNT(items), transfer_id, &ops, NULL, &server));
    sh_server_link_up(server, 1);
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    if (seen.manifest)
        sh_msg_free(&seen.manifest->base);
    sh_server_free(server);
    for (size_t i = 0; i < SH_COUNT(items); i++) {
        sh_item_free(items[i]);
        free(bytes[i]);
    }
    return 0;
}

static enum sh_cause say(sh_link_id link, unsigned type, const ProtobufCMessage *message)
{
    uint8_t *frame = NULL;
    size_t n = 0;
    assert_ok(sh_msg_frame(type, message, &frame, &n));
    enum sh_cause cause = sh_server_rx(server, link, type, SH_BYTES(frame + 4, n - 4));
    free(frame);
    return cause;
}

static enum sh_cause pull(sh_link_id link, uint32_t item, uint64_t first, uint32_t count)
{
    Simhop__Pull message = SIMHOP__PULL__INIT;
    message.item = item;
    message.first = first;
    message.count = count;
    return say(link, SH_MSG_PULL, &message.base);
}

static enum sh_cause ask_root(sh_link_id link, uint32_t item)
{
    Simhop__RootRequest message = SIMHOP__ROOT_REQUEST__INIT;
    message.item = item;
    return say(link, SH_MSG_ROOT_REQUEST, &message.base);
}

static enum sh_cause ask_hashes(sh_link_id link, uint32_t item, uint64_t first, uint32_t count)
{
    Simhop__LeafHashesRequest message = SIMHOP__LEAF_HASHES_REQUEST__INIT;
    message.item = item;
    message.first = first;
    message.count = count;
    return say(link, SH_MSG_LEAF_HASHES_REQUEST, &message.base);
}

static enum sh_cause work(void)
{
    bool more = true;
    for (unsigned i = 0; more && i < 1000; i++)
        SH_TRY(sh_server_work(server, &more));
    assert_false(more);
    return SH_OK;
}

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

static enum sh_cause receipt(size_t count, size_t root_len, bool wrong, bool other_transfer)
{
    uint8_t roots[4][33] = {{0}}, id[16];
    ProtobufCBinaryData list[4];
    Simhop__Receipt message = SIMHOP__RECEIPT__INIT;
    memcpy(id, transfer_id, 16);
    id[3] ^= other_transfer;
    for (size_t i = 0; i < count; i++) {
        if (i < 3)
            reference_root(bytes[i], sh_item_size(items[i]), roots[i]);
        list[i] = (ProtobufCBinaryData){.data = roots[i], .len = root_len};
    }
    roots[1][9] ^= wrong;
    message.transfer_id = (ProtobufCBinaryData){.data = id, .len = 16};
    message.roots = list;
    message.n_roots = count;
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(test_receipt),
        TEST(test_receipt_kept_later),
        TEST(test_receipt_kept_without_a_link),
        TEST(test_wrong_receipt),
        TEST(test_refused_receipt),
        TEST(test_progress),
        TEST(test_not_for_us),
        TEST(test_ping),
        TEST(test_link_gone),
        TEST(test_many_links),
        TEST(test_new),
        TEST(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
