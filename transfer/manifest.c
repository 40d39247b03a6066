/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "transfer/leaf.h"

void sh_manifest_clear(struct sh_manifest *manifest)
{
    free(manifest->items);
    free(manifest->list);
}

enum sh_cause sh_manifest_make(struct sh_item *const *items, size_t count,
                               const uint8_t transfer_id[16], struct sh_manifest *ret_manifest)
{
    struct sh_manifest *manifest = ret_manifest;
    simhop__manifest__init(&manifest->message);
    manifest->items = calloc(count, sizeof(*manifest->items));
    manifest->list = calloc(count, sizeof(Simhop__Item *));
    if (!manifest->items || !manifest->list)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct sh_item *item = items[i];
        Simhop__Item *out = &manifest->items[i];
        simhop__item__init(out);
        out->id.data = (uint8_t *)(uintptr_t)sh_item_id(item); /* protobuf-c has no const */
        out->id.len = SH_ITEM_ID_SIZE;
        out->name = (char *)(uintptr_t)sh_item_name(item);
        out->kind = (Simhop__ItemKind)sh_item_kind(item);
        out->size = sh_item_size(item);
        manifest->list[i] = out;
    }
    manifest->message.transfer_id.data = (uint8_t *)(uintptr_t)transfer_id; /* the same */
    manifest->message.transfer_id.len = 16;
    manifest->message.leaf_size = SH_LEAF_SIZE;
    manifest->message.items = manifest->list;
    manifest->message.n_items = count;
    manifest->message.leaf_hashes = true;
    return SH_OK;
}

enum sh_cause sh_manifest_check(struct sh_item *const *items, size_t count,
                                const uint8_t transfer_id[16])
{
    SH_CLEANUP(sh_manifest_clear) struct sh_manifest manifest = {.items = NULL};
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(sh_item_name(items[i]), sh_item_name(items[j])) == 0)
                return sh_fail(SH_TRANSFER_BAD_MANIFEST, "two items of the name %s",
                               sh_item_name(items[i]));
        }
    }
    SH_TRY(sh_manifest_make(items, count, transfer_id, &manifest));
    if (simhop__manifest__get_packed_size(&manifest.message) > sh_msg_info(SH_MSG_MANIFEST)->cap)
        return sh_fail(SH_TRANSFER_BAD_MANIFEST,
                       "%zu items with names as long as these are too many", count);
    return SH_OK;
}
