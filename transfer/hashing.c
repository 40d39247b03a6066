/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/hashing.h"

#include <stdlib.h>

#define STEP 16 /* leaves a call */

enum sh_cause sh_hashing_begin(struct sh_hashing *hashing, uint32_t item, uint64_t first,
                               unsigned count)
{
    if (hashing->hashes && hashing->item == item && hashing->first == first &&
        hashing->count == count)
        return SH_OK;
    free(hashing->hashes);
    *hashing = (struct sh_hashing){.hashes = malloc((size_t)count * SH_HASH_SIZE),
                                   .item = item,
                                   .first = first,
                                   .count = count};
    return hashing->hashes ? SH_OK : SH_ENV_NO_MEMORY;
}

enum sh_cause sh_hashing_work(struct sh_hashing *hashing, struct sh_item *item, uint8_t *buffer)
{
    for (unsigned i = 0; i < STEP && hashing->done < hashing->count; i++) {
        uint64_t index = hashing->first + hashing->done;
        uint8_t *hash = hashing->hashes + (size_t)hashing->done * SH_HASH_SIZE;
        uint32_t length = 0;
        SH_TRY(sh_item_read_leaf(item, index, buffer, &length));
        SH_TRY(sh_item_leaf_hash(item, index, SH_BYTES(buffer, length), hash));
        SH_TRY(sh_item_seal_feed(item, index, hash));
        hashing->done++;
    }
    return SH_OK;
}

void sh_hashing_end(struct sh_hashing *hashing)
{
    free(hashing->hashes);
    *hashing = (struct sh_hashing){.hashes = NULL};
}
