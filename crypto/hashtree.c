/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hashtree.h"

#include <string.h>

void sh_hashtree_init(struct sh_hashtree *tree)
{
    memset(tree, 0, sizeof(*tree));
}

enum sh_cause sh_leaf_hash(struct sh_bytes data, uint8_t out[SH_HASH_SIZE])
{
    static const uint8_t prefix = 0;
    const struct sh_bytes pieces[] = {SH_BYTES(&prefix, 1), data};
    return sh_sha256(pieces, SH_COUNT(pieces), out);
}

static enum sh_cause node_hash(const uint8_t *left, const uint8_t *right, uint8_t out[SH_HASH_SIZE])
{
    static const uint8_t prefix = 1;
    const struct sh_bytes pieces[] = {SH_BYTES(&prefix, 1), SH_BYTES(left, SH_HASH_SIZE),
                                      SH_BYTES(right, SH_HASH_SIZE)};
    return sh_sha256(pieces, SH_COUNT(pieces), out);
}

enum sh_cause sh_hashtree_append(struct sh_hashtree *tree, const uint8_t leaf[SH_HASH_SIZE])
{
    uint8_t subtree[SH_HASH_SIZE];
    unsigned peaks = tree->peak_count;
    memcpy(subtree, leaf, SH_HASH_SIZE);
    /* Like adding one to a binary number: each bit that carries joins two subtrees of one size. */
    for (uint64_t carry = tree->leaves; carry & 1; carry >>= 1)
        SH_TRY(node_hash(tree->peaks[--peaks], subtree, subtree));
    memcpy(tree->peaks[peaks], subtree, SH_HASH_SIZE);
    tree->peak_count = peaks + 1;
    tree->leaves++;
    return SH_OK;
}

enum sh_cause sh_hashtree_root(const struct sh_hashtree *tree, uint8_t out[SH_HASH_SIZE])
{
    uint8_t root[SH_HASH_SIZE];
    if (tree->peak_count == 0)
        return sh_sha256(NULL, 0, out);
    memcpy(root, tree->peaks[tree->peak_count - 1], SH_HASH_SIZE);
    for (unsigned i = tree->peak_count - 1; i-- > 0;)
        SH_TRY(node_hash(tree->peaks[i], root, root));
    memcpy(out, root, SH_HASH_SIZE);
    return SH_OK;
}
