/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the store's files: store.c (the folder, an item's beginning, its leaves), store_end.c (marks of what is synced, the
 * look at what an earlier session left, the end), store_older.c (what is taken over from older copies).
 */
#ifndef SIMHOP_TRANSFER_STORE_INTERNAL_H
#define SIMHOP_TRANSFER_STORE_INTERNAL_H

#include "transfer/digest.h"
#include "transfer/store.h"
#include "transfer/store_journal.h"
#include "transfer/syncer.h"

#define SH_STORE_WORK ".simhop"

struct sh_store {
    char *dir;
    int dir_fd;
    int work_fd;              /* DIR/.simhop, -1 until the first item */
    uint64_t promised;        /* to items whose space could not be reserved in truth */
    struct sh_syncer *syncer; /* NULL: syncs are waited for, and there are no marks */
};

struct sh_store_item {
    struct sh_store *store;
    char name[SH_ITEM_NAME_MAX + 1];
    char part[2 * SH_ITEM_ID_SIZE + sizeof(".part")];
    char leaves[2 * SH_ITEM_ID_SIZE + sizeof(".leaves")];
    uint64_t size;
    bool replace;
    bool empty;  /* nothing verified is in the files: close removes them */
    int part_fd; /* -1: at rest, or finished */
    struct sh_journal journal;
    struct sh_digest digest;
    uint64_t promised;
    uint32_t unsynced;

    uint64_t unmarked; /* octets since the last sync was begun */
    sh_ms marked_at;   /* when that was; 0: never looked */
    uint64_t to_mark;  /* leading leaves that the running sync covers */
    bool durable;      /* all that was put is on the disk */
    bool sync_is_last; /* the running sync covers everything */
    bool sealed;
    enum sh_cause sync_cause; /* of a sync that failed */
};

/* The digest goes on with what came before its turn, not by much, for it is in the way of what arrives; what an earlier session left
 * waits for sh_store_item_work. */
SH_MUST_USE enum sh_cause sh_store_catch_up(struct sh_store_item *item);
/* store.target-exists with the path. */
enum sh_cause sh_store_target_exists(const struct sh_store_item *item);
/* Is the target's name still free, or a file that may be replaced? */
SH_MUST_USE enum sh_cause sh_store_check_target(const struct sh_store_item *item);

#endif
