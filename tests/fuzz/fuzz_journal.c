/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A .leaves file out of the input, opened by the store beside a .part of zeros. The first octet
 * chooses the size of the item, and whether the journal is made to look as of this boot. Whatever
 * it says, what is missing can be put, and only what has the root gets a name.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "transfer/leaf.h"
#include "transfer/store.h"

#define BOOT_AT 24
#define BOOT    16

static const uint8_t id[SH_ITEM_ID_SIZE] = {0xab};
static const uint8_t zeros[SH_LEAF_SIZE];
static char part[128], leaves[128];

static int remove_one(const char *path, const struct stat *st SH_UNUSED, int type SH_UNUSED,
                      struct FTW *at SH_UNUSED)
{
    return remove(path);
}

static void write_file(const char *path, const uint8_t *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    fuzz_assert(fd >= 0 && (n == 0 || write(fd, data, n) == (ssize_t)n));
    close(fd);
}

/* What a journal of this boot has there. */
static void boot_id(struct sh_store *store, uint8_t out[BOOT])
{
    struct sh_store_item *item = NULL;
    fuzz_assert(sh_store_item_open(store, id, "item", 1, false, &item) == SH_OK);
    int fd = open(leaves, O_RDONLY);
    fuzz_assert(fd >= 0 && pread(fd, out, BOOT, BOOT_AT) == BOOT);
    close(fd);
    sh_store_item_close(item);
}

static void root_of_zeros(uint64_t size, uint8_t out[SH_HASH_SIZE])
{
    struct sh_hashtree tree;
    sh_hashtree_init(&tree);
    for (uint64_t i = 0; i < sh_leaf_count(size); i++) {
        uint8_t hash[SH_HASH_SIZE];
        fuzz_assert(sh_leaf_hash(SH_BYTES(zeros, sh_leaf_length(size, i)), hash) == SH_OK);
        fuzz_assert(sh_hashtree_append(&tree, hash) == SH_OK);
    }
    fuzz_assert(sh_hashtree_root(&tree, out) == SH_OK);
}

/* What is missing is put; what turns out to be damaged is missing then. */
static void fill(struct sh_store_item *item, uint64_t size)
{
    uint64_t count = sh_leaf_count(size);
    static const struct sh_store_from from = {.link = 1};
    struct sh_store_news news;
    for (uint64_t i = sh_store_item_next_missing(item, 0); i < count;
         i = sh_store_item_next_missing(item, i)) {
        uint8_t hash[SH_HASH_SIZE];
        struct sh_bytes data = SH_BYTES(zeros, sh_leaf_length(size, i));
        fuzz_assert(sh_leaf_hash(data, hash) == SH_OK);
        fuzz_assert(sh_store_item_put(item, i, data, hash, &from) == SH_OK);
        fuzz_assert(sh_store_item_take(item, &news) && news.leaf == i && news.cause == SH_OK);
    }
}

static void use(struct sh_store_item *item, uint64_t size, const char *target)
{
    uint64_t count = sh_leaf_count(size), has = 0;
    uint8_t root[SH_HASH_SIZE];
    struct sh_store_sealed sealed = {0};
    enum sh_store_state state = SH_STORE_MORE;
    for (uint64_t i = 0; i < count; i++)
        has += sh_store_item_has(item, i) ? sh_leaf_length(size, i) : 0;
    fuzz_assert(has == sh_store_item_verified(item));
    /* Each round finds one that is damaged at most. */
    for (uint64_t i = 0; i < count + 2 && state != SH_STORE_READY; i++) {
        fill(item, size);
        fuzz_assert(sh_store_item_work(item, UINT32_MAX, &state) == SH_OK);
    }
    fuzz_assert(state == SH_STORE_READY);
    root_of_zeros(size, root);
    enum sh_cause cause = sh_store_item_seal(item, root, &sealed);
    fuzz_assert(cause == SH_OK || cause == SH_TRANSFER_ROOT_MISMATCH);
    if (cause == SH_OK)
        fuzz_assert(sh_store_item_publish(item) == SH_OK);
    fuzz_assert((access(target, F_OK) == 0) == (cause == SH_OK));
    free(sealed.path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t sizes[] = {0, 1, SH_LEAF_SIZE, 3 * SH_LEAF_SIZE + 1};
    char folder[] = "/tmp/simhop-fuzz-XXXXXX", target[64], work[64];
    struct sh_store *store = NULL;
    struct sh_store_item *item = NULL;
    if (size < 1)
        return 0;
    uint64_t item_size = sizes[data[0] % SH_COUNT(sizes)];
    fuzz_assert(mkdtemp(folder) != NULL);
    snprintf(work, sizeof(work), "%s/.simhop", folder);
    snprintf(target, sizeof(target), "%s/item", folder);
    snprintf(part, sizeof(part), "%s/ab000000000000000000000000000000.part", work);
    snprintf(leaves, sizeof(leaves), "%s/ab000000000000000000000000000000.leaves", work);
    fuzz_assert(sh_store_open(folder, &store) == SH_OK);
    uint8_t boot[BOOT];
    boot_id(store, boot);
    write_file(leaves, data + 1, size - 1);
    write_file(part, NULL, 0);
    fuzz_assert(truncate(part, (off_t)item_size) == 0);
    if (data[0] & 0x80 && size > 1 + BOOT_AT + BOOT) {
        int fd = open(leaves, O_WRONLY);
        fuzz_assert(fd >= 0 && pwrite(fd, boot, BOOT, BOOT_AT) == BOOT);
        close(fd);
    }
    fuzz_assert(sh_store_item_open(store, id, "item", item_size, false, &item) == SH_OK);
    use(item, item_size, target);
    sh_store_item_close(item);
    sh_store_close(store);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
