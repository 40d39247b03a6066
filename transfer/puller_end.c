/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/puller_internal.h"

#include <stdlib.h>
#include <string.h>

#include "proto/log.h"

#define DIGEST_STEP 64   /* leaves a call */
#define AT_WORK_MS  5000 /* and the anchor hears that we are */

/* ---- roots ---- */

bool sh_puller_complete(const struct sh_pull_item *item)
{
    return item->info.verified == item->info.size;
}

/* A slow processor hashes 64 MiB in a second. */
static sh_ms hash_time(uint64_t size)
{
    return (size >> 26) * 1000;
}

sh_ms sh_puller_hash_budget(const struct sh_puller *puller)
{
    uint64_t size = 0;
    if (!puller->items)
        return 0;
    if (puller->first < puller->count)
        return hash_time(puller->items[puller->first].info.size);
    for (size_t i = 0; i < puller->count; i++)
        size += puller->items[i].resumed ? puller->items[i].info.size : 0;
    return hash_time(size);
}

/* The root of an item that was begun earlier is asked for early, since the anchor has to read all
 * of it, but not while it reads it for the hashes; only what is complete is waited for. */
static void ask_root(struct sh_puller *puller, uint32_t index, sh_ms now)
{
    struct sh_pull_item *item = &puller->items[index];
    Simhop__RootRequest message = SIMHOP__ROOT_REQUEST__INIT;
    bool waits = sh_puller_complete(item);
    sh_ms wait = waits ? SH_MANIFEST_MS : SH_NEVER;
    sh_link_id link = 0;
    if (item->has_root || !(waits || (item->resumed && !item->older)) ||
        !sh_puller_ask_due(puller, &item->root_ask, wait, now, &link))
        return;
    message.item = index;
    message.progress = true;
    if (sh_puller_send(puller, link, SH_MSG_ROOT_REQUEST, &message.base))
        sh_puller_asked(puller, &item->root_ask, link, now);
}

enum sh_cause sh_puller_rx_root(struct sh_puller *puller, struct sh_bytes payload, sh_ms now)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_ROOT, payload, &message));
    const Simhop__Root *in = (const Simhop__Root *)message;
    if (in->item >= puller->count || puller->items[in->item].root_ask.asks == 0)
        return sh_fail(SH_PROTO_WRONG_STATE, "the root of item %u was not asked for", in->item);
    struct sh_pull_item *item = &puller->items[in->item];
    if (in->root.len != SH_HASH_SIZE)
        return sh_fail(SH_PROTO_MALFORMED, "a root of %zu octets", in->root.len);
    if (item->has_root) {
        if (memcmp(item->info.root, in->root.data, SH_HASH_SIZE) != 0)
            return sh_fail(SH_TRANSFER_ROOT_MISMATCH, "two roots of %s", item->info.name);
        return SH_OK;
    }
    memcpy(item->info.root, in->root.data, SH_HASH_SIZE);
    item->has_root = true;
    sh_patience_moved(&puller->patience, now);
    return SH_OK;
}

static bool is_all_here(const struct sh_puller *puller)
{
    size_t i = puller->first;
    while (i < puller->count && sh_puller_complete(&puller->items[i]))
        i++;
    return i == puller->count;
}

/* The person hears why nothing comes. */
static void tell_reads(struct sh_puller *puller, const struct sh_pull_item *item, sh_ms now)
{
    bool all = is_all_here(puller);
    if (!all || puller->reads == SH_NEVER)
        puller->reads = all ? now : SH_NEVER;
    if (!all || puller->reads_told || now - puller->reads < SH_DISK_TOLD_MS ||
        !puller->ops->anchor_reads)
        return;
    puller->reads_told = true;
    puller->ops->anchor_reads(&item->info, item->hashed, puller->user);
}

/* What the anchor has read again for a root. */
enum sh_cause sh_puller_rx_progress(struct sh_puller *puller, struct sh_bytes payload, sh_ms now)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_PROGRESS, payload, &message));
    const Simhop__Progress *in = (const Simhop__Progress *)message;
    if (in->item >= puller->count || in->verified > in->total ||
        in->total != puller->items[in->item].info.size)
        return sh_fail(SH_PROTO_MALFORMED, "progress that is not one of item %u", in->item);
    struct sh_pull_item *item = &puller->items[in->item];
    if (in->verified <= item->hashed)
        return SH_OK;
    item->hashed = in->verified;
    sh_patience_moved(&puller->patience, now);
    tell_reads(puller, item, now);
    return SH_OK;
}

/* ---- finished items ---- */

static enum sh_cause finish_item(struct sh_puller *puller, uint32_t index, sh_ms now)
{
    struct sh_pull_item *item = &puller->items[index];
    if (item->store) {
        struct sh_store_sealed sealed;
        SH_TRY(sh_store_item_seal(item->store, item->info.root, &sealed));
        item->info.path = sealed.path;
        item->info.mtime_ns = sealed.mtime_ns;
        memcpy(item->info.sha256, sh_store_item_sha256(item->store), sizeof(item->info.sha256));
        SH_TRY(puller->ops->finishing(index, &item->info, puller->user));
        SH_TRY(sh_store_item_publish(item->store));
        sh_puller_older_end(item);
        sh_store_item_close(item->store);
        item->store = NULL;
    }
    item->finished = true;
    puller->first = index + 1;
    puller->reads = SH_NEVER; /* for this one */
    sh_patience_moved(&puller->patience, now);
    sh_puller_progress(puller, index, true, now);
    return puller->ops->finished(index, &item->info, puller->user);
}

/* A leaf was found damaged on the disk: it is missing again. All others are there, so nothing of this item is in flight. */
static void fetch_again(struct sh_puller *puller, struct sh_pull_item *item)
{
    uint64_t verified = sh_store_item_verified(item->store);
    puller->resumed -= SH_MIN(puller->resumed, item->info.verified - verified);
    item->info.verified = verified;
    item->cursor = sh_store_item_next_missing(item->store, 0);
}

enum sh_cause sh_puller_await_disk(struct sh_puller *puller, sh_ms now)
{
    if (puller->disk == SH_NEVER) {
        puller->disk = now;
        puller->disk_told = false;
    }
    if (now - puller->disk >= SH_DISK_MS)
        return sh_fail(SH_STORE_SLOW, "nothing for %d s", SH_DISK_MS / 1000);
    if (now - puller->disk >= SH_DISK_TOLD_MS && !puller->disk_told) {
        puller->disk_told = true;
        puller->ops->disk_waits(puller->user);
    }
    sh_patience_moved(&puller->patience, now);
    return SH_OK;
}

/* The anchor ends with whoever wants nothing for two minutes; to read much again on a slow disk may take longer. */
static void tell_at_work(struct sh_puller *puller, uint32_t index, sh_ms now)
{
    sh_patience_moved(&puller->patience, now);
    if (now - puller->progress_at >= AT_WORK_MS)
        sh_puller_progress(puller, index, true, now);
}

/* What came out of order or in an earlier session is read for its SHA-256 and looked at, a little at a time; then all is
 * synced. */
static enum sh_cause prepare(struct sh_puller *puller, struct sh_pull_item *item, bool *ret_ready,
                             sh_ms now)
{
    enum sh_store_state state = SH_STORE_READY;
    if (item->store) {
        SH_TRY(sh_store_item_wake(item->store));
        SH_TRY(sh_store_item_work(item->store, DIGEST_STEP, &state));
    }
    *ret_ready = state == SH_STORE_READY;
    puller->more_work = state == SH_STORE_MORE;
    if (state == SH_STORE_WAITS)
        return sh_puller_await_disk(puller, now);
    puller->disk = SH_NEVER;
    if (state == SH_STORE_LACKS)
        fetch_again(puller, item);
    if (state != SH_STORE_READY)
        tell_at_work(puller, (uint32_t)(item - puller->items), now);
    return SH_OK;
}

/* The disk is at work while the root is on its way. */
static enum sh_cause finish_items(struct sh_puller *puller, sh_ms now)
{
    while (puller->first < puller->count) {
        struct sh_pull_item *item = &puller->items[puller->first];
        bool ready = true;
        if (!sh_puller_complete(item))
            break;
        SH_TRY(prepare(puller, item, &ready, now));
        if (!ready || !item->has_root)
            break;
        SH_TRY(finish_item(puller, (uint32_t)puller->first, now));
    }
    return SH_OK;
}

/* ---- the receipt ---- */

enum sh_cause sh_receipt_signed_part(const uint8_t transfer_id[16], const uint8_t *roots,
                                     size_t count, uint8_t **ret_bytes, size_t *ret_len)
{
    if (count > SH_ITEMS_MAX)
        return sh_fail(SH_INTERNAL_BUG, "a receipt over %zu items", count);
    size_t n = 16 + 4 + count * SH_HASH_SIZE;
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return SH_ENV_NO_MEMORY;
    memcpy(bytes, transfer_id, 16);
    bytes[16] = bytes[17] = 0;
    bytes[18] = (uint8_t)(count >> 8);
    bytes[19] = (uint8_t)count;
    if (count > 0)
        memcpy(bytes + 20, roots, count * SH_HASH_SIZE);
    *ret_bytes = bytes;
    *ret_len = n;
    return SH_OK;
}

static enum sh_cause sign_receipt(struct sh_puller *puller)
{
    sh_autofree uint8_t *part = NULL;
    size_t n = 0;
    if (puller->signature)
        return SH_OK;
    puller->roots = malloc(puller->count * SH_HASH_SIZE);
    if (!puller->roots)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; i < puller->count; i++)   /* no items: no count either */
        memcpy(puller->roots + i * SH_HASH_SIZE, // NOLINT(clang-analyzer-core.NonNullParamChecker)
               puller->items[i].info.root, SH_HASH_SIZE);
    SH_TRY(sh_receipt_signed_part(puller->transfer_id, puller->roots, puller->count, &part, &n));
    return puller->ops->sign(SH_BYTES(part, n), &puller->signature, &puller->signature_len,
                             puller->user);
}

static enum sh_cause send_receipt(struct sh_puller *puller, sh_link_id link, sh_ms now)
{
    sh_autofree ProtobufCBinaryData *roots = calloc(puller->count, sizeof(*roots));
    sh_autofree ProtobufCBinaryData *sha256 = calloc(puller->count, sizeof(*sha256));
    Simhop__Receipt message = SIMHOP__RECEIPT__INIT;
    if (!roots || !sha256)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sign_receipt(puller));
    for (size_t i = 0; i < puller->count; i++) {
        roots[i] =
            (ProtobufCBinaryData){.data = puller->roots + i * SH_HASH_SIZE, .len = SH_HASH_SIZE};
        sha256[i] =
            (ProtobufCBinaryData){.data = puller->items[i].info.sha256, .len = SH_HASH_SIZE};
    }
    message.transfer_id.data = puller->transfer_id;
    message.transfer_id.len = sizeof(puller->transfer_id);
    message.roots = roots;
    message.n_roots = puller->count;
    message.sha256 = sha256;
    message.n_sha256 = puller->count;
    message.signature.data = puller->signature;
    message.signature.len = puller->signature_len;
    message.progress = true;
    if (sh_puller_send(puller, link, SH_MSG_RECEIPT, &message.base))
        sh_puller_asked(puller, &puller->receipt_ask, link, now);
    return SH_OK;
}

static enum sh_cause ask_receipt(struct sh_puller *puller, sh_ms now)
{
    struct sh_pull_ask *ask = &puller->receipt_ask;
    sh_ms wait = SH_MANIFEST_MS + sh_puller_hash_budget(puller);
    sh_link_id link = 0;
    if (!sh_puller_ask_due(puller, ask, wait, now, &link))
        return SH_OK;
    /* One that says that it is at work has our patience, to its end; asked again it sees that we are there. */
    if (puller->reads == SH_NEVER && sh_puller_ask_spent(puller, ask, SH_RECEIPT_ASKS))
        return sh_fail(SH_RECEIPT_TIMEOUT, "asked %u times", ask->asks);
    return send_receipt(puller, link, now);
}

enum sh_cause sh_puller_rx_receipt_ack(struct sh_puller *puller, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_RECEIPT_ACK, payload, &message));
    if (puller->receipt_ask.asks == 0)
        return sh_fail(SH_PROTO_WRONG_STATE, "a receipt was acknowledged that was not sent");
    sh_puller_end(puller, SH_OK);
    return SH_OK;
}

enum sh_cause sh_puller_advance(struct sh_puller *puller, sh_ms now)
{
    size_t end = SH_MIN(puller->count, puller->first + SH_PULL_ACTIVE_ITEMS);
    sh_puller_older(puller, now);
    for (size_t i = puller->first; i < end; i++) {
        ask_root(puller, (uint32_t)i, now);
        if (puller->items[i].store)
            SH_TRY(sh_store_item_mark(puller->items[i].store, now));
    }
    SH_TRY(finish_items(puller, now));
    return puller->first == puller->count ? ask_receipt(puller, now) : SH_OK;
}
