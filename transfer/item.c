/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/item_internal.h"
#include "transfer/leaf.h"

#define ID_LABEL "simhop1 item"

static struct source source_of(const struct stat *st)
{
    return (struct source){.device = st->st_dev,
                           .inode = st->st_ino,
                           .size = (uint64_t)st->st_size,
                           .seconds = st->st_mtim.tv_sec,
                           .nanoseconds = st->st_mtim.tv_nsec};
}

static bool source_equal(const struct source *a, const struct source *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

static enum sh_cause unreadable(const char *path, const char *why)
{
    return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, why);
}

static enum sh_cause changed(const struct sh_item *item, const char *why)
{
    return sh_fail(SH_TRANSFER_SOURCE_CHANGED, "%s: %s", item->path, why);
}

static enum sh_cause item_new(const char *name, int kind, struct sh_item **ret_item)
{
    SH_TRY(sh_item_name_check(name));
    struct sh_item *item = calloc(1, sizeof(*item));
    if (!item)
        return SH_ENV_NO_MEMORY;
    item->fd = -1;
    item->kind = kind;
    memcpy(item->name, name, strlen(name) + 1);
    sh_hashtree_init(&item->tree);
    *ret_item = item;
    return SH_OK;
}

/* state: what changes when the source does. */
static enum sh_cause derive_id(struct sh_item *item, const uint8_t anchor_id[16],
                               struct sh_bytes state)
{
    uint8_t digest[32];
    const uint8_t kind = (uint8_t)item->kind;
    uint8_t size[8];
    for (unsigned i = 0; i < sizeof(size); i++)
        size[i] = (uint8_t)(item->size >> (56 - 8 * i));
    const struct sh_bytes pieces[] = {
        SH_BYTES(ID_LABEL, sizeof(ID_LABEL)),
        SH_BYTES(anchor_id, 16),
        SH_BYTES(&kind, 1),
        SH_BYTES(size, sizeof(size)),
        state,
        SH_BYTES(item->name, strlen(item->name)),
    };
    SH_TRY(sh_sha256(pieces, SH_COUNT(pieces), digest));
    memcpy(item->id, digest, sizeof(item->id));
    return SH_OK;
}

/* A descriptor of a regular file and its state. The look before the open keeps a FIFO from
 * blocking and a device from being touched. */
static enum sh_cause open_regular(const char *path, int *ret_fd, struct source *ret_source)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return unreadable(path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return unreadable(path, "not a regular file");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return unreadable(path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return unreadable(path, "not a regular file");
    }
    *ret_fd = fd;
    *ret_source = source_of(&st);
    return SH_OK;
}

static enum sh_cause fill_from_file(struct sh_item *item, const char *path,
                                    const uint8_t anchor_id[16])
{
    SH_TRY(open_regular(path, &item->fd, &item->source));
    item->path = realpath(path, NULL);
    if (!item->path)
        return unreadable(path, strerror(errno));
    item->size = item->source.size;
    if (item->size > SH_ITEM_SIZE_MAX)
        return unreadable(path, "too large");
    sh_item_rest(item);
    return derive_id(item, anchor_id, SH_BYTES(&item->source, sizeof(item->source)));
}

enum sh_cause sh_item_open_file(const char *name, const char *path, const uint8_t anchor_id[16],
                                struct sh_item **ret_item)
{
    SH_CLEANUP(sh_item_freep) struct sh_item *item = NULL;
    const char *slash = strrchr(path, '/');
    SH_TRY(item_new(name    ? name
                    : slash ? slash + 1
                            : path,
                    SIMHOP__ITEM_KIND__ITEM_KIND_FILE, &item));
    SH_TRY(fill_from_file(item, path, anchor_id));
    *ret_item = item;
    item = NULL;
    return SH_OK;
}

enum sh_cause sh_item_renew(struct sh_item *item, const uint8_t anchor_id[16])
{
    struct source source;
    int fd = -1;
    if (item->bytes)
        return SH_OK;
    SH_TRY(open_regular(item->path, &fd, &source));
    close(fd);
    if (source_equal(&source, &item->source))
        return SH_OK;
    if (source.size > SH_ITEM_SIZE_MAX)
        return unreadable(item->path, "too large");
    sh_item_rest(item);
    sh_item_seal_drop(item);
    sh_item_known_drop(item);
    item->source = source;
    item->size = source.size;
    return derive_id(item, anchor_id, SH_BYTES(&item->source, sizeof(item->source)));
}

enum sh_cause sh_item_open_memory(const char *name, int kind, struct sh_bytes bytes,
                                  const uint8_t anchor_id[16], struct sh_item **ret_item)
{
    SH_CLEANUP(sh_item_freep) struct sh_item *item = NULL;
    uint8_t digest[32];
    SH_TRY(item_new(name, kind, &item));
    item->size = bytes.n;
    item->bytes = malloc(SH_MAX(bytes.n, (size_t)1));
    if (!item->bytes)
        return SH_ENV_NO_MEMORY;
    if (bytes.n > 0)
        memcpy(item->bytes, bytes.p, bytes.n);
    SH_TRY(sh_sha256(&bytes, 1, digest));
    SH_TRY(derive_id(item, anchor_id, SH_BYTES(digest, sizeof(digest))));
    *ret_item = item;
    item = NULL;
    return SH_OK;
}

void sh_item_free(struct sh_item *item)
{
    if (!item)
        return;
    sh_item_seal_drop(item);
    sh_item_known_drop(item);
    sh_item_rest(item);
    if (item->bytes)
        sh_wipe(item->bytes, (size_t)item->size); /* a bundle has activation codes in it */
    free(item->bytes);
    free(item->path);
    free(item);
}

void sh_item_freep(struct sh_item **item)
{
    sh_item_free(*item);
    *item = NULL;
}

const uint8_t *sh_item_id(const struct sh_item *item)
{
    return item->id;
}

const char *sh_item_name(const struct sh_item *item)
{
    return item->name;
}

int sh_item_kind(const struct sh_item *item)
{
    return item->kind;
}

uint64_t sh_item_size(const struct sh_item *item)
{
    return item->size;
}

void sh_item_rest(struct sh_item *item)
{
    sh_closep(&item->fd);
    item->fd = -1;
}

enum sh_cause sh_item_wake(struct sh_item *item)
{
    struct source source = {0};
    if (item->fd >= 0)
        return SH_OK;
    if (access(item->path, F_OK) < 0 && errno == ENOENT)
        return changed(item, "it is gone");
    SH_TRY(open_regular(item->path, &item->fd, &source));
    if (!source_equal(&source, &item->source)) {
        sh_item_rest(item);
        return changed(item, "it is another file now");
    }
    (void)posix_fadvise(item->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return SH_OK;
}

enum sh_read sh_source_read(int fd, const struct source *source, uint64_t offset, uint8_t *out,
                            uint32_t length)
{
    struct stat st;
    for (uint32_t got = 0; got < length;) {
        ssize_t n = pread(fd, out + got, length - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SH_READ_FAILED;
        if (n == 0)
            return SH_READ_SHORT;
        got += (uint32_t)n;
    }
    if (fstat(fd, &st) < 0)
        return SH_READ_FAILED;
    struct source now = source_of(&st);
    return source_equal(&now, source) ? SH_READ_FINE : SH_READ_CHANGED;
}

enum sh_cause sh_item_read_cause(const struct sh_item *item, enum sh_read read, int error)
{
    if (read == SH_READ_FAILED)
        return unreadable(item->path, strerror(error));
    if (read == SH_READ_SHORT)
        return changed(item, "it is shorter than it was");
    if (read == SH_READ_CHANGED)
        return changed(item, "its size or time of change is another now");
    return SH_OK;
}

static enum sh_cause read_file(struct sh_item *item, uint64_t offset, uint8_t *out, uint32_t length)
{
    SH_TRY(sh_item_wake(item));
    enum sh_read read = sh_source_read(item->fd, &item->source, offset, out, length);
    return sh_item_read_cause(item, read, errno);
}

enum sh_cause sh_item_read_leaf(struct sh_item *item, uint64_t index, uint8_t *out,
                                uint32_t *ret_len)
{
    uint32_t length = sh_leaf_length(item->size, index);
    if (length == 0)
        return sh_fail(SH_INTERNAL_BUG, "%s has no leaf %llu", item->name,
                       (unsigned long long)index);
    if (item->bytes)
        memcpy(out, item->bytes + index * SH_LEAF_SIZE, length);
    else
        SH_TRY(read_file(item, index * SH_LEAF_SIZE, out, length));
    *ret_len = length;
    return SH_OK;
}
