/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages of a secondary into a server: records of type (1), link (1), length (2, big endian),
 * payload. Types 254 and 255 take a link down and up. What it sends is what it has, and what it
 * queues is bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "proto/stream.h"
#include "transfer/server.h"

#define ITEMS 3

static const uint8_t content[200000] = {1, 2, 3};

struct world {
    struct sh_server *server;
    struct sh_item *items[ITEMS];
    size_t pending[3];
};

static enum sh_cause on_send(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                             void *user)
{
    struct world *world = user;
    uint8_t *frame = NULL;
    size_t n = 0;
    fuzz_assert(sh_msg_frame(type, message, &frame, &n) == SH_OK);
    free(frame);
    world->pending[link] += n;
    fuzz_assert(world->pending[link] < 2 * SH_STREAM_MOST);
    return SH_OK;
}

static enum sh_cause on_leaf(sh_link_id link, const struct sh_leaf *leaf, void *user)
{
    struct world *world = user;
    fuzz_assert(leaf->item < ITEMS);
    fuzz_assert(leaf->data.n > 0 &&
                leaf->data.n ==
                    sh_leaf_length(sh_item_size(world->items[leaf->item]), leaf->index));
    fuzz_assert(memcmp(leaf->data.p, content + leaf->index * SH_LEAF_SIZE, leaf->data.n) == 0);
    world->pending[link] += leaf->data.n;
    fuzz_assert(world->pending[link] < 2 * SH_STREAM_MOST);
    return SH_OK;
}

static size_t on_pending(sh_link_id link, void *user)
{
    return ((const struct world *)user)->pending[link];
}

static void on_progress(uint32_t item, uint64_t verified, uint64_t total, void *user SH_UNUSED)
{
    fuzz_assert(item < ITEMS && verified <= total);
}

static enum sh_cause on_receipt(const Simhop__Receipt *receipt, void *user)
{
    const struct world *world = user;
    fuzz_assert(receipt->n_roots == ITEMS);
    sh_server_receipt_kept(world->server);
    return SH_OK;
}

static enum sh_cause play(struct sh_server *server, struct world *world, const uint8_t *data,
                          size_t size)
{
    bool more = false;
    sh_server_link_up(server, 1);
    while (size >= 4) {
        sh_link_id link = 1 + data[1] % 2;
        size_t n = SH_MIN((size_t)data[2] << 8 | data[3], size - 4);
        if (data[0] == 254)
            sh_server_link_down(server, link);
        else if (data[0] == 255)
            sh_server_link_up(server, link);
        else
            SH_TRY(sh_server_rx(server, link, data[0], SH_BYTES(data + 4, n)));
        SH_TRY(sh_server_work(server, &more));
        if (data[1] & 2) /* the link has room again */
            world->pending[link] = 0;
        data += 4 + n;
        size -= 4 + n;
    }
    for (unsigned i = 0; i < 100; i++) {
        world->pending[1] = world->pending[2] = 0;
        SH_TRY(sh_server_work(server, &more));
    }
    return SH_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sh_server_ops ops = {on_send, on_leaf, on_pending, on_progress, on_receipt};
    static const uint8_t id[16] = {7};
    static const size_t sizes[ITEMS] = {sizeof(content), 0, 5};
    static const char *const names[ITEMS] = {"a", "b", "c"};
    struct world world = {.pending = {0}};
    for (size_t i = 0; i < ITEMS; i++)
        fuzz_assert(sh_item_open_memory(names[i], SIMHOP__ITEM_KIND__ITEM_KIND_FILE,
                                        SH_BYTES(content, sizes[i]), id, &world.items[i]) == SH_OK);
    fuzz_assert(sh_server_new(world.items, ITEMS, id, &ops, &world, &world.server) == SH_OK);
    (void)(play(world.server, &world, data, size) == SH_OK);
    sh_server_free(world.server);
    for (size_t i = 0; i < ITEMS; i++)
        sh_item_free(world.items[i]);
    return 0;
}
