/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the files of an item: item.c (what it is, reading its source), item_known.c (hashes of its leaves) and item_seal.c (its hash
 * tree). */
#ifndef SIMHOP_TRANSFER_ITEM_INTERNAL_H
#define SIMHOP_TRANSFER_ITEM_INTERNAL_H

#include "crypto/hashtree.h"
#include "system/worker.h"
#include "transfer/item.h"

/* What tells one state of a file from another. */
struct source {
    uint64_t device, inode, size;
    int64_t seconds, nanoseconds;
};

enum sh_read {
    SH_READ_FINE,
    SH_READ_FAILED, /* errno says why */
    SH_READ_SHORT,
    SH_READ_CHANGED
};

struct sh_item {
    uint8_t id[SH_ITEM_ID_SIZE];
    char name[SH_ITEM_NAME_MAX + 1];
    int kind;
    uint64_t size;
    uint8_t *bytes; /* memory, else a file: */
    char *path;     /* resolved, so that a change of folder or of a symbolic link does not matter */
    int fd;         /* -1 while at rest */
    struct source source;

    struct sh_item_known *known; /* item_known.c; NULL: nothing was read yet */

    /* item_seal.c */
    struct sh_hashtree tree;
    struct sh_item_ahead *ahead; /* hashes that came before their turn; NULL: none did */
    struct sh_worker *worker;    /* NULL: what it would do is done at once */
    struct sh_item_job *job;     /* under way */
    enum sh_cause job_cause;     /* what the last one came to, with job_read */
    enum sh_read job_read;
    int job_error;
};

/* item.c */
/* Reads first and looks at the state then: a write before the read ended has moved the mtime. On any thread. */
enum sh_read sh_source_read(int fd, const struct source *source, uint64_t offset, uint8_t *out,
                            uint32_t length);
/* SH_OK, source.unreadable, transfer.source-changed. */
enum sh_cause sh_item_read_cause(const struct sh_item *item, enum sh_read read, int error);
/* Its descriptor is open. Fails with source.unreadable, transfer.source-changed. */
SH_MUST_USE enum sh_cause sh_item_wake(struct sh_item *item);

/* item_known.c: as if nothing had been hashed. */
void sh_item_known_drop(struct sh_item *item);

/* item_seal.c: as if nothing had been read. */
void sh_item_seal_drop(struct sh_item *item);

#endif
