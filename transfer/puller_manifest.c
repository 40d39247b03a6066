/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/puller_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"

static enum sh_cause check_item(const Simhop__Item *item, uint32_t index)
{
    if (item->id.len != SH_ITEM_ID_SIZE)
        return sh_fail(SH_TRANSFER_BAD_MANIFEST, "item %u: id of %zu octets", index, item->id.len);
    if (item->kind != SIMHOP__ITEM_KIND__ITEM_KIND_FILE &&
        item->kind != SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE)
        return sh_fail(SH_PROTO_UNKNOWN_ENUM, "item %u: kind %d", index, (int)item->kind);
    uint64_t largest =
        item->kind == SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE ? SH_BUNDLE_MAX : SH_ITEM_SIZE_MAX;
    if (item->size > largest)
        return sh_fail(SH_TRANSFER_BAD_MANIFEST, "item %u: %" PRIu64 " octets", index, item->size);
    return sh_item_name_check(item->name);
}

static int compare_ids(const void *a, const void *b)
{
    const Simhop__Item *const *x = a, *const *y = b;
    return memcmp((*x)->id.data, (*y)->id.data, SH_ITEM_ID_SIZE);
}

static int compare_names(const void *a, const void *b)
{
    const Simhop__Item *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Sorts, so that a thousand items do not cost a million comparisons. */
static enum sh_cause check_unique(const Simhop__Manifest *manifest, const char *what,
                                  int (*compare)(const void *, const void *))
{
    sh_autofree Simhop__Item **sorted = calloc(manifest->n_items, sizeof(Simhop__Item *));
    if (!sorted)
        return SH_ENV_NO_MEMORY;
    memcpy(sorted, manifest->items, manifest->n_items * sizeof(Simhop__Item *));
    qsort(sorted, manifest->n_items, sizeof(Simhop__Item *), compare);
    for (size_t i = 1; i < manifest->n_items; i++) {
        if (compare(&sorted[i - 1], &sorted[i]) == 0)
            return sh_fail(SH_TRANSFER_BAD_MANIFEST, "two items with the same %s", what);
    }
    return SH_OK;
}

static enum sh_cause check_manifest(const Simhop__Manifest *manifest)
{
    if (manifest->transfer_id.len != 16)
        return sh_fail(SH_TRANSFER_BAD_MANIFEST, "transfer id of %zu octets",
                       manifest->transfer_id.len);
    if (manifest->leaf_size != SH_LEAF_SIZE)
        return sh_fail(SH_TRANSFER_BAD_MANIFEST, "leaves of %u octets", manifest->leaf_size);
    if (manifest->n_items == 0 || manifest->n_items > SH_ITEMS_MAX)
        return sh_fail(SH_TRANSFER_BAD_MANIFEST, "%zu items", manifest->n_items);
    for (size_t i = 0; i < manifest->n_items; i++)
        SH_TRY(check_item(manifest->items[i], (uint32_t)i));
    SH_TRY(check_unique(manifest, "id", compare_ids));
    return check_unique(manifest, "name", compare_names);
}

static enum sh_cause open_had(struct sh_puller *puller, struct sh_pull_item *item)
{
    if (!item->info.path)
        return sh_fail(SH_INTERNAL_BUG, "%s is had without a path", item->info.name);
    item->info.verified = item->info.size;
    item->cursor = item->leaves;
    item->has_root = item->resumed = true;
    puller->resumed += item->info.size;
    return SH_OK;
}

static enum sh_cause open_item(struct sh_puller *puller, struct sh_pull_item *item, bool keep_open)
{
    struct sh_store *store = NULL;
    bool replace = false;
    if (puller->ops->have(&item->info, puller->user))
        return open_had(puller, item);
    SH_TRY(puller->ops->store(&item->info, &store, &replace, puller->user));
    SH_TRY(sh_store_item_open(store, item->info.id, item->info.name, item->info.size, replace,
                              &item->store));
    item->info.verified = sh_store_item_verified(item->store);
    item->resumed = item->info.verified > 0;
    puller->resumed += item->info.verified;
    SH_TRY(sh_puller_older_begin(puller, item));
    if (!keep_open)
        sh_store_item_rest(item->store);
    return SH_OK;
}

/* Everything that can be known before the first octet is found here: space, names, permissions. */
static enum sh_cause open_items(struct sh_puller *puller, const Simhop__Manifest *manifest)
{
    puller->items = calloc(manifest->n_items, sizeof(*puller->items));
    if (!puller->items)
        return SH_ENV_NO_MEMORY;
    puller->count = manifest->n_items;
    for (size_t i = 0; i < puller->count; i++) {
        const Simhop__Item *in = manifest->items[i];
        struct sh_puller_item *info = &puller->items[i].info;
        memcpy(info->id, in->id.data, SH_ITEM_ID_SIZE);
        memcpy(info->name, in->name, strlen(in->name) + 1);
        info->kind = (int)in->kind;
        info->size = in->size;
        puller->items[i].leaves = sh_leaf_count(in->size);
    }
    for (size_t i = 0; i < puller->count; i++)
        SH_TRY(open_item(puller, &puller->items[i], i < SH_PULL_ACTIVE_ITEMS));
    return SH_OK;
}

enum sh_cause sh_puller_rx_manifest(struct sh_puller *puller, struct sh_bytes payload, sh_ms now)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    if (puller->manifest_ask.asks == 0)
        return sh_fail(SH_PROTO_WRONG_STATE, "a manifest that was not asked for");
    if (puller->items) /* it was asked for again, and both answers came */
        return SH_OK;
    SH_TRY(sh_msg_unpack(SH_MSG_MANIFEST, payload, &message));
    const Simhop__Manifest *manifest = (const Simhop__Manifest *)message;
    SH_TRY(check_manifest(manifest));
    memcpy(puller->transfer_id, manifest->transfer_id.data, sizeof(puller->transfer_id));
    puller->leaf_hashes = manifest->leaf_hashes;
    SH_TRY(open_items(puller, manifest));
    sh_patience_moved(&puller->patience, now);
    sh_log("puller: manifest of %zu items, %" PRIu64 " octets are here already", puller->count,
           puller->resumed);
    /* Tells the anchor at once what it has to hash for the receipt without sending it. */
    for (uint32_t i = 0; i < puller->count; i++) {
        if (puller->items[i].has_root)
            sh_puller_progress(puller, i, true, now);
    }
    return SH_OK;
}
