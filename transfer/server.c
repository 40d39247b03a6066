/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/server.h"

#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/stream.h"
#include "transfer/hashing.h"
#include "transfer/manifest.h"

#define SEAL_STEP  16                  /* leaves hashed a call of work */
#define OPEN_ITEMS 16                  /* descriptors of sources */
#define TELL_EVERY ((uint64_t)8 << 20) /* octets that are read for roots: some hear of it */
#define WANT_BYTES (SH_ITEMS_MAX / 8)

struct pull {
    uint32_t item;
    uint64_t next, end;
};

struct server_link {
    sh_link_id id;
    bool up;
    struct pull pulls[SH_SERVER_PULLS]; /* a ring */
    unsigned first, count;
    struct sh_hashing hashing;
    uint8_t roots[WANT_BYTES]; /* asked for, not yet answered */
    bool takes_progress;
    uint64_t sent;
};

struct sh_server {
    struct sh_item *const *items;
    size_t count;
    uint8_t transfer_id[16];
    const struct sh_server_ops *ops;
    void *user;
    struct server_link *links[SH_SERVER_LINKS]; /* NULL from the first that never was needed on */
    uint8_t seal[WANT_BYTES];                   /* items that work() seals */
    size_t sealing;                             /* where it looks first */
    uint64_t told;             /* octets of what it seals that were hashed when somebody was told */
    size_t hashing;            /* the link whose turn it is */
    uint32_t open[OPEN_ITEMS]; /* item + 1, the latest first: the others are at rest */
    Simhop__Receipt *receipt;  /* waits for sealing */
    sh_link_id receipt_link;
    bool receipt_taken, receipt_kept; /* by our user; durable, it says */
    bool waits;                       /* for a worker, after the last work */
    uint32_t changed;                 /* item + 1 whose source changed */
};

/* One for all: nothing of a leaf is kept once it is given to its link. */
static uint8_t buffer[SH_LEAF_SIZE];

/* Most have one, and there may be hundreds of servers. */
static size_t link_count(const struct sh_server *server)
{
    size_t n = 0;
    while (n < SH_SERVER_LINKS && server->links[n])
        n++;
    return n;
}

static bool bit_get(const uint8_t *bits, size_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static void bit_set(uint8_t *bits, size_t i, bool value)
{
    uint8_t mask = (uint8_t)(1u << (i % 8));
    bits[i / 8] = (uint8_t)(value ? bits[i / 8] | mask : bits[i / 8] & ~mask);
}

enum sh_cause sh_server_new(struct sh_item *const *items, size_t count,
                            const uint8_t transfer_id[16], const struct sh_server_ops *ops,
                            void *user, struct sh_server **ret_server)
{
    if (count == 0 || count > SH_ITEMS_MAX)
        return sh_fail(SH_TRANSFER_BAD_MANIFEST, "%zu items, 1 to %d can be sent", count,
                       SH_ITEMS_MAX);
    struct sh_server *server = calloc(1, sizeof(*server));
    if (!server)
        return SH_ENV_NO_MEMORY;
    server->items = items;
    server->count = count;
    server->ops = ops;
    server->user = user;
    memcpy(server->transfer_id, transfer_id, sizeof(server->transfer_id));
    enum sh_cause cause = sh_manifest_check(items, count, server->transfer_id);
    if (cause != SH_OK)
        sh_server_free(server);
    else
        *ret_server = server;
    return cause;
}

void sh_server_free(struct sh_server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < SH_COUNT(server->open); i++) {
        if (server->open[i] != 0)
            sh_item_rest(server->items[server->open[i] - 1]);
    }
    for (size_t i = 0; i < link_count(server); i++) {
        sh_hashing_end(&server->links[i]->hashing);
        free(server->links[i]);
    }
    if (server->receipt)
        sh_msg_free(&server->receipt->base);
    free(server);
}

/* ---- links ---- */

static struct server_link *link_find(const struct sh_server *server, sh_link_id id)
{
    for (size_t i = 0; i < link_count(server); i++) {
        if (id != 0 && server->links[i]->id == id)
            return server->links[i];
    }
    return NULL;
}

static struct server_link *link_free_slot(struct sh_server *server)
{
    struct server_link *unused = NULL;
    size_t count = link_count(server);
    if (count < SH_SERVER_LINKS)
        return server->links[count] = calloc(1, sizeof(*unused));
    for (size_t i = 0; i < count; i++) {
        struct server_link *link = server->links[i];
        if (!link->up && (!unused || link->id < unused->id))
            unused = link;
    }
    return unused;
}

void sh_server_link_up(struct sh_server *server, sh_link_id id)
{
    struct server_link *link = link_find(server, id);
    uint64_t sent = link ? link->sent : 0;
    if (!link)
        link = link_free_slot(server);
    if (!link) {
        sh_log("server: link %u is one too many, not served", id);
        return;
    }
    sh_hashing_end(&link->hashing);
    *link = (struct server_link){.id = id, .up = true, .sent = sent};
}

static void link_forget(struct server_link *link)
{
    sh_hashing_end(&link->hashing);
    *link = (struct server_link){.id = link->id, .sent = link->sent};
}

void sh_server_link_down(struct sh_server *server, sh_link_id id)
{
    struct server_link *link = link_find(server, id);
    if (link)
        link_forget(link);
}

uint64_t sh_server_sent(const struct sh_server *server, sh_link_id id)
{
    const struct server_link *link = link_find(server, id);
    return link ? link->sent : 0;
}

static void send_to(struct sh_server *server, struct server_link *link, unsigned type,
                    const ProtobufCMessage *message)
{
    if (link->up && server->ops->send(link->id, type, message, server->user) != SH_OK)
        link_forget(link);
}

/* ---- leaves ---- */

/* Keeps the latest few sources open, whatever the order in which a peer asks. */
static void touch(struct sh_server *server, uint32_t index)
{
    size_t at = 0;
    while (at + 1 < SH_COUNT(server->open) && server->open[at] != index + 1)
        at++;
    uint32_t last = server->open[at];
    if (last != 0 && last != index + 1)
        sh_item_rest(server->items[last - 1]);
    memmove(server->open + 1, server->open, at * sizeof(server->open[0]));
    server->open[0] = index + 1;
}

static enum sh_cause note_changed(struct sh_server *server, size_t index, enum sh_cause cause)
{
    if (cause == SH_TRANSFER_SOURCE_CHANGED)
        server->changed = (uint32_t)index + 1;
    return cause;
}

uint32_t sh_server_changed(const struct sh_server *server)
{
    return server->changed;
}

static enum sh_cause serve_leaf(struct sh_server *server, struct server_link *link)
{
    struct pull *pull = &link->pulls[link->first];
    struct sh_item *item = server->items[pull->item];
    struct sh_leaf leaf = {.item = pull->item, .index = pull->next};
    uint32_t length = 0;
    touch(server, pull->item);
    SH_TRY(note_changed(server, pull->item, sh_item_read_leaf(item, leaf.index, buffer, &length)));
    leaf.data = SH_BYTES(buffer, length);
    SH_TRY(sh_item_leaf_hash(item, leaf.index, leaf.data, leaf.hash));
    SH_TRY(note_changed(server, pull->item, sh_item_seal_feed(item, leaf.index, leaf.hash)));
    if (++pull->next == pull->end) {
        link->first = (link->first + 1) % SH_SERVER_PULLS;
        link->count--;
    }
    if (server->ops->send_leaf(link->id, &leaf, server->user) != SH_OK)
        link_forget(link);
    else
        link->sent += length;
    return SH_OK;
}

static bool has_room(struct sh_server *server, const struct server_link *link)
{
    return link->up && link->count > 0 &&
           server->ops->pending(link->id, server->user) < SH_STREAM_HIGH;
}

static enum sh_cause serve(struct sh_server *server, struct server_link *link)
{
    for (unsigned i = 0; i < SH_SERVER_BURST && has_room(server, link); i++)
        SH_TRY(serve_leaf(server, link));
    return SH_OK;
}

/* ---- messages ---- */

static enum sh_cause rx_manifest_request(struct sh_server *server, struct server_link *link,
                                         const ProtobufCMessage *message SH_UNUSED)
{
    SH_CLEANUP(sh_manifest_clear) struct sh_manifest manifest = {.items = NULL};
    SH_TRY(sh_manifest_make(server->items, server->count, server->transfer_id, &manifest));
    send_to(server, link, SH_MSG_MANIFEST, &manifest.message.base);
    return SH_OK;
}

static enum sh_cause check_range(const struct sh_server *server, uint32_t item, uint64_t first,
                                 uint32_t count, uint32_t most)
{
    if (item >= server->count || count == 0 || count > most)
        return sh_fail(SH_PROTO_MALFORMED, "%u leaves of item %u", count, item);
    uint64_t leaves = sh_leaf_count(sh_item_size(server->items[item]));
    if (first >= leaves || count > leaves - first)
        return sh_fail(SH_PROTO_MALFORMED, "leaves behind the end of item %u", item);
    return SH_OK;
}

static enum sh_cause rx_pull(struct sh_server *server, struct server_link *link,
                             const ProtobufCMessage *message)
{
    const Simhop__Pull *in = (const Simhop__Pull *)message;
    SH_TRY(check_range(server, in->item, in->first, in->count, SH_PULL_MAX));
    if (link->count == SH_SERVER_PULLS)
        return sh_fail(SH_PROTO_WRONG_STATE, "more than %d pulls at once", SH_SERVER_PULLS);
    link->pulls[(link->first + link->count++) % SH_SERVER_PULLS] =
        (struct pull){.item = in->item, .next = in->first, .end = in->first + in->count};
    return SH_OK;
}

static enum sh_cause rx_leaf_hashes_request(struct sh_server *server, struct server_link *link,
                                            const ProtobufCMessage *message)
{
    const Simhop__LeafHashesRequest *in = (const Simhop__LeafHashesRequest *)message;
    SH_TRY(check_range(server, in->item, in->first, in->count, SH_LEAF_HASHES_MAX));
    return sh_hashing_begin(&link->hashing, in->item, in->first, in->count);
}

static enum sh_cause send_root(struct sh_server *server, struct server_link *link, uint32_t index)
{
    uint8_t root[SH_HASH_SIZE];
    Simhop__Root message = SIMHOP__ROOT__INIT;
    SH_TRY(sh_item_root(server->items[index], root));
    message.item = index;
    message.root.data = root;
    message.root.len = sizeof(root);
    bit_set(link->roots, index, false);
    send_to(server, link, SH_MSG_ROOT, &message.base);
    return SH_OK;
}

static enum sh_cause rx_root_request(struct sh_server *server, struct server_link *link,
                                     const ProtobufCMessage *message)
{
    uint32_t index = ((const Simhop__RootRequest *)message)->item;
    link->takes_progress = ((const Simhop__RootRequest *)message)->progress;
    if (index >= server->count)
        return sh_fail(SH_PROTO_MALFORMED, "the root of item %u, which is not there", index);
    if (sh_item_sealed(server->items[index]))
        return send_root(server, link, index);
    bit_set(link->roots, index, true);
    bit_set(server->seal, index, true);
    return SH_OK;
}

static enum sh_cause rx_progress(struct sh_server *server, struct server_link *link SH_UNUSED,
                                 const ProtobufCMessage *message)
{
    const Simhop__Progress *in = (const Simhop__Progress *)message;
    if (in->item >= server->count || in->verified > in->total ||
        in->total != sh_item_size(server->items[in->item]))
        return sh_fail(SH_PROTO_MALFORMED, "progress that is not one of item %u", in->item);
    if (in->verified == in->total) /* its root is needed soon, at the latest for the receipt */
        bit_set(server->seal, in->item, true);
    server->ops->progress(in->item, in->verified, in->total, server->user);
    return SH_OK;
}

static enum sh_cause rx_ping(struct sh_server *server, struct server_link *link,
                             const ProtobufCMessage *message)
{
    const Simhop__Ping *in = (const Simhop__Ping *)message;
    Simhop__Pong out = SIMHOP__PONG__INIT;
    out.sequence = in->sequence;
    out.padding = in->padding;
    send_to(server, link, SH_MSG_PONG, &out.base);
    return SH_OK;
}

/* ---- the receipt ---- */

static enum sh_cause check_receipt(const struct sh_server *server, const Simhop__Receipt *receipt)
{
    if (receipt->transfer_id.len != sizeof(server->transfer_id) ||
        memcmp(receipt->transfer_id.data, server->transfer_id, sizeof(server->transfer_id)) != 0)
        return sh_fail(SH_PROTO_MALFORMED, "a receipt of another transfer");
    if (receipt->n_roots != server->count)
        return sh_fail(SH_PROTO_MALFORMED, "a receipt with %zu roots", receipt->n_roots);
    if (receipt->n_sha256 != 0 && receipt->n_sha256 != server->count)
        return sh_fail(SH_PROTO_MALFORMED, "a receipt with %zu SHA-256", receipt->n_sha256);
    for (size_t i = 0; i < receipt->n_roots; i++) {
        if (receipt->roots[i].len != SH_HASH_SIZE)
            return sh_fail(SH_PROTO_MALFORMED, "a root of %zu octets", receipt->roots[i].len);
        if (receipt->n_sha256 > 0 && receipt->sha256[i].len != SH_HASH_SIZE)
            return sh_fail(SH_PROTO_MALFORMED, "a SHA-256 of %zu octets", receipt->sha256[i].len);
    }
    return SH_OK;
}

static bool all_sealed(const struct sh_server *server)
{
    for (size_t i = 0; i < server->count; i++) {
        if (!sh_item_sealed(server->items[i]))
            return false;
    }
    return true;
}

static void acknowledge(struct sh_server *server)
{
    struct server_link *link = link_find(server, server->receipt_link);
    Simhop__ReceiptAck ack = SIMHOP__RECEIPT_ACK__INIT;
    if (link)
        send_to(server, link, SH_MSG_RECEIPT_ACK, &ack.base);
}

/* All items have their roots. */
static enum sh_cause settle_receipt(struct sh_server *server)
{
    SH_CLEANUP(sh_msg_freep) Simhop__Receipt *receipt = server->receipt;
    server->receipt = NULL;
    for (size_t i = 0; i < server->count; i++) {
        uint8_t root[SH_HASH_SIZE];
        SH_TRY(sh_item_root(server->items[i], root));
        if (memcmp(root, receipt->roots[i].data, sizeof(root)) != 0)
            return sh_fail(SH_TRANSFER_ROOT_MISMATCH, "%s in the receipt",
                           sh_item_name(server->items[i]));
    }
    if (server->receipt_kept) /* one that is asked for again is only acknowledged again */
        acknowledge(server);
    if (server->receipt_taken) /* until the first is kept it only says where to acknowledge that */
        return SH_OK;
    server->receipt_taken = true;
    return server->ops->receipt(receipt, server->user);
}

void sh_server_receipt_kept(struct sh_server *server)
{
    server->receipt_kept = true;
    acknowledge(server);
}

/* One that comes while another waits takes its place. The message is taken over. */
static enum sh_cause take_receipt(struct sh_server *server, struct server_link *link,
                                  Simhop__Receipt *receipt)
{
    if (server->receipt)
        sh_msg_free(&server->receipt->base);
    server->receipt = receipt;
    server->receipt_link = link->id;
    link->takes_progress = receipt->progress;
    if (all_sealed(server))
        return settle_receipt(server);
    memset(server->seal, 0xff, sizeof(server->seal));
    return SH_OK;
}

static enum sh_cause rx_receipt(struct sh_server *server, struct server_link *link,
                                struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_RECEIPT, payload, &message));
    SH_TRY(check_receipt(server, (const Simhop__Receipt *)message));
    Simhop__Receipt *receipt = (Simhop__Receipt *)message;
    message = NULL;
    return take_receipt(server, link, receipt);
}

/* Answers wait in the link's queue: who asks on and on without reading may not make it grow. */
static enum sh_cause check_queue(struct sh_server *server, const struct server_link *link)
{
    if (server->ops->pending(link->id, server->user) <= SH_STREAM_MOST)
        return SH_OK;
    return sh_fail(SH_PROTO_WRONG_STATE, "requests without reading the answers");
}

typedef enum sh_cause (*rx_fn)(struct sh_server *, struct server_link *, const ProtobufCMessage *);

enum sh_cause sh_server_rx(struct sh_server *server, sh_link_id id, unsigned type,
                           struct sh_bytes payload)
{
    static const struct {
        unsigned type;
        rx_fn rx;
    } handlers[] = {
        {SH_MSG_MANIFEST_REQUEST, rx_manifest_request},
        {SH_MSG_PULL, rx_pull},
        {SH_MSG_LEAF_HASHES_REQUEST, rx_leaf_hashes_request},
        {SH_MSG_ROOT_REQUEST, rx_root_request},
        {SH_MSG_PROGRESS, rx_progress},
        {SH_MSG_PING, rx_ping},
    };
    struct server_link *link = link_find(server, id);
    if (!link || !link->up)
        return SH_OK;
    SH_TRY(check_queue(server, link));
    if (type == SH_MSG_RECEIPT)
        return rx_receipt(server, link, payload);
    for (size_t i = 0; i < SH_COUNT(handlers); i++) {
        SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
        if (handlers[i].type != type)
            continue;
        SH_TRY(sh_msg_unpack(type, payload, &message));
        return handlers[i].rx(server, link, message);
    }
    const struct sh_msg_info *info = sh_msg_info(type);
    return sh_fail(SH_PROTO_WRONG_STATE, "%s is not for the anchor",
                   info ? info->name : "a message");
}

/* ---- work ---- */

static bool wants_sealing(const struct sh_server *server, size_t i)
{
    return bit_get(server->seal, i) && !sh_item_sealed(server->items[i]);
}

bool sh_server_waits(const struct sh_server *server)
{
    return server->waits;
}

static enum sh_cause answer_roots(struct sh_server *server, uint32_t index)
{
    for (size_t i = 0; i < link_count(server); i++) {
        struct server_link *link = server->links[i];
        if (link->up && bit_get(link->roots, index))
            SH_TRY(send_root(server, link, index));
    }
    return SH_OK;
}

static void send_hashes(struct sh_server *server, struct server_link *link)
{
    struct sh_hashing hashing = link->hashing;
    Simhop__LeafHashes message = SIMHOP__LEAF_HASHES__INIT;
    message.item = hashing.item;
    message.first = hashing.first;
    message.hashes.data = hashing.hashes;
    message.hashes.len = (size_t)hashing.count * SH_HASH_SIZE;
    link->hashing = (struct sh_hashing){.hashes = NULL};
    send_to(server, link, SH_MSG_LEAF_HASHES, &message.base);
    sh_hashing_end(&hashing);
}

/* Links take turns here too. */
static enum sh_cause hash_some(struct sh_server *server)
{
    size_t count = link_count(server);
    for (size_t n = 0; n < count; n++) {
        size_t i = (server->hashing + n) % count;
        struct server_link *link = server->links[i];
        if (!link->hashing.hashes)
            continue;
        server->hashing = i + 1;
        touch(server, link->hashing.item);
        SH_TRY(note_changed(
            server, link->hashing.item,
            sh_hashing_work(&link->hashing, server->items[link->hashing.item], buffer)));
        if (link->hashing.done == link->hashing.count)
            send_hashes(server, link);
        break;
    }
    return SH_OK;
}

/* Goes round, so that one large item does not keep the roots of small ones waiting. One at a time is read beside the loop: each
 * needs a descriptor. */
static enum sh_cause seal_some(struct sh_server *server)
{
    for (size_t n = 0; n < server->count; n++) {
        size_t i = (server->sealing + n) % server->count;
        bool done = false;
        if (!wants_sealing(server, i) || (server->waits && !sh_item_seal_waits(server->items[i])))
            continue;
        touch(server, (uint32_t)i);
        SH_TRY(note_changed(server, i, sh_item_seal_work(server->items[i], SEAL_STEP, &done)));
        server->sealing = i + 1;
        break;
    }
    return SH_OK;
}

static bool waits_for_roots(const struct sh_server *server, const struct server_link *link)
{
    bool waits = server->receipt && server->receipt_link == link->id;
    for (size_t i = 0; i < sizeof(link->roots); i++)
        waits |= link->roots[i] != 0;
    return link->up && link->takes_progress && waits;
}

/* A slow disk may need minutes for what the other side does not ask for, who has it: it hears that we are at work. */
static void tell_hashed(struct sh_server *server)
{
    uint64_t hashed = 0;
    for (size_t i = 0; i < server->count; i++)
        hashed += bit_get(server->seal, i) ? sh_item_hashed(server->items[i]) : 0;
    server->told = SH_MIN(server->told, hashed); /* what failed begins anew */
    if (hashed - server->told < TELL_EVERY)
        return;
    server->told = hashed;
    Simhop__Progress message = SIMHOP__PROGRESS__INIT;
    message.item = (uint32_t)((server->sealing + server->count - 1) % server->count);
    message.verified = sh_item_hashed(server->items[message.item]);
    message.total = sh_item_size(server->items[message.item]);
    for (size_t i = 0; i < link_count(server); i++) {
        if (waits_for_roots(server, server->links[i]))
            send_to(server, server->links[i], SH_MSG_PROGRESS, &message.base);
    }
}

static bool more_to_do(struct sh_server *server)
{
    bool more = false;
    server->waits = false;
    for (size_t i = 0; i < server->count; i++) {
        bool wants = wants_sealing(server, i), waits = sh_item_seal_waits(server->items[i]);
        server->waits |= wants && waits;
        more |= wants && !waits;
    }
    more = more && !server->waits; /* one after the other */
    for (size_t i = 0; i < link_count(server); i++) {
        const struct server_link *link = server->links[i];
        more |= link->hashing.hashes || has_room(server, link);
    }
    return more;
}

enum sh_cause sh_server_work(struct sh_server *server, bool *ret_more)
{
    for (size_t i = 0; i < link_count(server); i++)
        SH_TRY(serve(server, server->links[i]));
    SH_TRY(hash_some(server));
    SH_TRY(seal_some(server));
    tell_hashed(server);
    /* Serving seals too, so look at all: a root may wait for an item that nobody worked on here. */
    for (uint32_t i = 0; i < server->count; i++) {
        if (sh_item_sealed(server->items[i]))
            SH_TRY(answer_roots(server, i));
    }
    if (server->receipt && all_sealed(server))
        SH_TRY(settle_receipt(server));
    *ret_more = more_to_do(server);
    return SH_OK;
}
