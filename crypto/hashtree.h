/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SHA-256 hash tree of RFC 9162 section 2.1.1: leaf = SHA-256(0x00 | data), node = SHA-256(0x01 | left |
 * right), the left subtree of n leaves being the largest power of two smaller than n; no leaves at
 * all: SHA-256 of nothing. Leaves are given in order and only log2(n) hashes are kept, so an item of any size
 * costs the same memory.
 */
#ifndef SIMHOP_CRYPTO_HASHTREE_H
#define SIMHOP_CRYPTO_HASHTREE_H

#include "crypto/secret.h"

#define SH_HASH_SIZE 32

struct sh_hashtree {
    uint64_t leaves;
    uint8_t peaks[64][SH_HASH_SIZE]; /* one for each bit set in leaves, largest subtree first */
    unsigned peak_count;
};

void sh_hashtree_init(struct sh_hashtree *tree);

/* The hash of one leaf's data. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_leaf_hash(struct sh_bytes data, uint8_t out[SH_HASH_SIZE]);

/* Appends the next leaf by its hash. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_hashtree_append(struct sh_hashtree *tree,
                                             const uint8_t leaf[SH_HASH_SIZE]);

/* The root over all leaves so far; the tree can go on. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_hashtree_root(const struct sh_hashtree *tree,
                                           uint8_t out[SH_HASH_SIZE]);

#endif
