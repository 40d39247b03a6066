/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server of three small items, what it sends, and what a secondary says to it. Header-only, since a unit test is one file. */
#ifndef SIMHOP_TESTS_TRANSFER_SERVER_USER_H
#define SIMHOP_TESTS_TRANSFER_SERVER_USER_H

#include "proto/stream.h"
#include "transfer/server.h"
#include "unit/transfer/util.h"

#define SIZE (40 * SH_LEAF_SIZE + 3)

static const uint8_t anchor_id[16] = {1}, transfer_id[16] = "a transfer's id";
static struct sh_item *items[3];
static uint8_t *bytes[3];
static struct sh_server *server;

static struct {
    unsigned sent[64], progress_on[4], leaves[4], receipts, progress;
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

static enum sh_cause on_send(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                             void *user SH_UNUSED)
{
    if (seen.gone)
        return SH_CONNECT_LOST;
    seen.sent[type]++;
    seen.progress_on[link] += type == SH_MSG_PROGRESS;
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

SH_UNUSED static enum sh_cause pull(sh_link_id link, uint32_t item, uint64_t first, uint32_t count)
{
    Simhop__Pull message = SIMHOP__PULL__INIT;
    message.item = item;
    message.first = first;
    message.count = count;
    return say(link, SH_MSG_PULL, &message.base);
}

SH_UNUSED static enum sh_cause ask_root(sh_link_id link, uint32_t item)
{
    Simhop__RootRequest message = SIMHOP__ROOT_REQUEST__INIT;
    message.item = item;
    return say(link, SH_MSG_ROOT_REQUEST, &message.base);
}

SH_UNUSED static enum sh_cause ask_hashes(sh_link_id link, uint32_t item, uint64_t first,
                                          uint32_t count)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
