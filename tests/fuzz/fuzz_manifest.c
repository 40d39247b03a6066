/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages of an anchor into a puller with a real store: records of type (1), link (1), length (2,
 * big endian), payload. Type 0 lets `length` ms pass, types 254 and 255 take a link down and up.
 * Nothing unverified gets a name, nothing is counted twice, the end comes once.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "transfer/puller.h"

#define OLDER_SIZE (4 * SH_LEAF_SIZE)

struct world {
    struct sh_store *store;
    char older[64];
    unsigned done, finished;
    bool in_done;
};

static enum sh_cause on_send(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                             void *user)
{
    const struct world *world = user;
    uint8_t *frame = NULL;
    size_t n = 0;
    fuzz_assert(link == 1 || link == 2);
    fuzz_assert(world->done == 0);
    fuzz_assert(sh_msg_frame(type, message, &frame, &n) == SH_OK);
    free(frame);
    return SH_OK;
}

static void on_drop(sh_link_id link SH_UNUSED, enum sh_cause cause SH_UNUSED, void *user)
{
    fuzz_assert(((const struct world *)user)->done == 0);
}

static bool on_have(struct sh_puller_item *item, void *user SH_UNUSED)
{
    if (strcmp(item->name, "had") != 0)
        return false;
    item->path = strdup("/had");
    return item->path != NULL;
}

static enum sh_cause on_store(const struct sh_puller_item *item, struct sh_store **ret_store,
                              bool *ret_replace, void *user)
{
    *ret_store = ((const struct world *)user)->store;
    *ret_replace = item->kind == SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE;
    return SH_OK;
}

/* Of each item: a file of zeros. */
static enum sh_cause on_older(const struct sh_puller_item *item SH_UNUSED,
                              char *paths[SH_STORE_OLDER], void *user)
{
    paths[0] = strdup(((const struct world *)user)->older);
    return paths[0] ? SH_OK : SH_ENV_NO_MEMORY;
}

static void on_progress(uint32_t index SH_UNUSED, const struct sh_puller_item *item,
                        sh_link_id link SH_UNUSED, void *user SH_UNUSED)
{
    fuzz_assert(item->verified <= item->size);
}

static enum sh_cause on_finishing(uint32_t index, const struct sh_puller_item *item, void *user)
{
    const struct world *world = user;
    fuzz_assert(index == world->finished && item->path != NULL);
    return SH_OK;
}

static enum sh_cause on_finished(uint32_t index, struct sh_puller_item *item, void *user)
{
    struct world *world = user;
    struct stat st;
    fuzz_assert(index == world->finished++);
    fuzz_assert(strcmp(item->path, "/had") == 0 ||
                (stat(item->path, &st) == 0 && (uint64_t)st.st_size == item->size));
    return SH_OK;
}

static enum sh_cause on_sign(struct sh_bytes part SH_UNUSED, uint8_t **ret_signature,
                             size_t *ret_len, void *user SH_UNUSED)
{
    *ret_signature = calloc(1, 8);
    *ret_len = 8;
    return SH_OK;
}

static void on_done(enum sh_cause cause SH_UNUSED, void *user)
{
    fuzz_assert(((struct world *)user)->done++ == 0);
}

static int remove_one(const char *path, const struct stat *st SH_UNUSED, int type SH_UNUSED,
                      struct FTW *at SH_UNUSED)
{
    return remove(path);
}

/* Sizes come from the input: reserving them must not fill the machine. */
static void limit_sizes(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur > 256 * 1024) {
        limit.rlim_cur = 256 * 1024;
        fuzz_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
}

static void play(struct sh_puller *puller, const uint8_t *data, size_t size)
{
    sh_ms now = 1000;
    sh_puller_link_up(puller, 1, SIMHOP__LINK_KIND__LINK_KIND_BLE, 1, now);
    while (size >= 4) {
        unsigned type = data[0];
        sh_link_id link = 1 + data[1] % 2;
        size_t n = SH_MIN((size_t)data[2] << 8 | data[3], size - 4);
        if (type == 0)
            now += (sh_ms)data[2] << 8 | data[3];
        else if (type == 254)
            sh_puller_link_down(puller, link, now);
        else if (type == 255)
            sh_puller_link_up(puller, link, 1 + (int)data[1] / 2 % 4, data[1], now);
        else
            sh_puller_rx(puller, link, type, SH_BYTES(data + 4, n), now);
        fuzz_assert(sh_puller_tick(puller, now) >= now);
        n = type == 0 || type >= 254 ? 0 : n;
        data += 4 + n;
        size -= 4 + n;
    }
    for (unsigned i = 0; i < 200 && sh_puller_tick(puller, now) != SH_NEVER; i++)
        now += 1000;
    fuzz_assert(sh_puller_tick(puller, now) == SH_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sh_puller_ops ops = {.send = on_send,
                                             .drop_link = on_drop,
                                             .have = on_have,
                                             .store = on_store,
                                             .older = on_older,
                                             .progress = on_progress,
                                             .finishing = on_finishing,
                                             .finished = on_finished,
                                             .sign = on_sign,
                                             .done = on_done};
    struct world world = {.store = NULL};
    struct sh_puller *puller = NULL;
    char folder[] = "/tmp/simhop-fuzz-XXXXXX";
    limit_sizes();
    fuzz_assert(mkdtemp(folder) != NULL);
    snprintf(world.older, sizeof(world.older), "%s/.older", folder);
    int fd = open(world.older, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    fuzz_assert(fd >= 0 && ftruncate(fd, OLDER_SIZE) == 0);
    close(fd);
    fuzz_assert(sh_store_open(folder, &world.store) == SH_OK);
    fuzz_assert(sh_puller_new(&ops, &world, 1000, &puller) == SH_OK);
    play(puller, data, size);
    fuzz_assert(world.done == 1);
    sh_puller_free(puller);
    sh_store_close(world.store);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
