/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A leaf that can be read is written the same again. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "transfer/leaf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_leaf leaf;
    uint8_t head[SH_LEAF_OVERHEAD], hash[SH_HASH_SIZE];
    if (sh_leaf_read(SH_BYTES(data, size), &leaf) != SH_OK)
        return 0;
    sh_leaf_head(&leaf, head);
    fuzz_assert(memcmp(head, data, sizeof(head)) == 0 && leaf.data.n == size - sizeof(head));
    fuzz_assert(leaf.data.n <= SH_LEAF_SIZE && sh_leaf_hash(leaf.data, hash) == SH_OK);
    uint64_t count = sh_leaf_count(leaf.index);
    fuzz_assert(count == 0 || sh_leaf_length(leaf.index, count - 1) > 0);
    return 0;
}
