/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/leaf.h"

#include <string.h>

#define INDEX_AT 4
#define HASH_AT  12

_Static_assert(HASH_AT + SH_HASH_SIZE == SH_LEAF_OVERHEAD, "the head of a leaf");

static void put_be(uint8_t *out, uint64_t value, size_t n)
{
    while (n-- > 0) {
        out[n] = (uint8_t)value;
        value >>= 8;
    }
}

static uint64_t get_be(const uint8_t *in, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | in[i];
    return value;
}

void sh_leaf_head(const struct sh_leaf *leaf, uint8_t out[SH_LEAF_OVERHEAD])
{
    put_be(out, leaf->item, INDEX_AT);
    put_be(out + INDEX_AT, leaf->index, HASH_AT - INDEX_AT);
    memcpy(out + HASH_AT, leaf->hash, SH_HASH_SIZE);
}

enum sh_cause sh_leaf_read(struct sh_bytes payload, struct sh_leaf *ret_leaf)
{
    if (payload.n <= SH_LEAF_OVERHEAD || payload.n > SH_LEAF_OVERHEAD + SH_LEAF_SIZE)
        return sh_fail(SH_PROTO_MALFORMED, "a leaf of %zu octets", payload.n);
    ret_leaf->item = (uint32_t)get_be(payload.p, INDEX_AT);
    ret_leaf->index = get_be(payload.p + INDEX_AT, HASH_AT - INDEX_AT);
    memcpy(ret_leaf->hash, payload.p + HASH_AT, SH_HASH_SIZE);
    ret_leaf->data = SH_BYTES(payload.p + SH_LEAF_OVERHEAD, payload.n - SH_LEAF_OVERHEAD);
    return SH_OK;
}

uint64_t sh_leaf_count(uint64_t size)
{
    return size / SH_LEAF_SIZE + (size % SH_LEAF_SIZE != 0);
}

uint32_t sh_leaf_length(uint64_t size, uint64_t index)
{
    uint64_t leaves = sh_leaf_count(size);
    if (index >= leaves)
        return 0;
    return index + 1 < leaves ? SH_LEAF_SIZE : (uint32_t)(size - index * SH_LEAF_SIZE);
}
