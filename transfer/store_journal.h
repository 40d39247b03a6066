/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the store: the .leaves file beside a .part file says which leaves are in there, and
 * what their hashes are.
 *     "simhop1 leaves\n\0" (16) | item size (8, big endian) | boot id (16)
 *     | leading leaves that are synced (8, big endian) | SHA-256 over these 48, its first 16,
 *     then for each leaf 1 | hash, or 33 zeros, or 2 | the hash that the anchor says, of one that is not there
 * The file has its full length from the start, so that a full disk cannot meet it later. A record
 * is written after its data, which is enough when the process is killed: the kernel keeps both.
 * After a power cut the order on the disk is not known, so records of another boot that lie behind the
 * mark of what was synced count only where the data still has the hash that the record says. The mark
 * is written after data and records are on the disk. One that does not fit its sum counts as none.
 */
#ifndef SIMHOP_TRANSFER_STORE_JOURNAL_H
#define SIMHOP_TRANSFER_STORE_JOURNAL_H

#include "crypto/hashtree.h"

struct sh_journal {
    int fd; /* -1: closed; holds the lock */
    uint64_t size, leaves;
    uint64_t have;     /* leaves */
    uint64_t verified; /* octets */
    uint64_t synced;   /* leading leaves that a power cut leaves alone */
    uint8_t *bitmap;
    uint8_t *fresh; /* recorded since load: what was verified needs no second look */
};

/* Opens or makes the file and locks it. *ret_new: nothing was in it. Fails with store.busy,
 * store.damaged (not a plain file), store.* and env.permission by errno. */
SH_MUST_USE enum sh_cause sh_journal_open(struct sh_journal *journal, int folder, const char *name,
                                          uint64_t size, bool *ret_new);

/* Length of the file on disk. */
uint64_t sh_journal_length(const struct sh_journal *journal);

/* Reads what is there, with part_fd being the data; part_kept = false: the data was not of this
 * size, nothing counts. Fails with store.io-error, env.no-memory, env.crypto. */
SH_MUST_USE enum sh_cause sh_journal_load(struct sh_journal *journal, int part_fd, bool part_kept);

/* There, and recorded since load? */
bool sh_journal_is_fresh(const struct sh_journal *journal, uint64_t leaf);
bool sh_journal_has(const struct sh_journal *journal, uint64_t leaf);
uint64_t sh_journal_next_missing(const struct sh_journal *journal, uint64_t from);
/* The record of a leaf whose data is written, into a descriptor of the file that need not be the journal's own: it may be
 * written beside the loop. Then it counts, once it is marked. */
SH_MUST_USE enum sh_cause sh_journal_write_record(int fd, uint64_t leaf,
                                                  const uint8_t hash[SH_HASH_SIZE]);
void sh_journal_mark(struct sh_journal *journal, uint64_t leaf);
/* The hash that was recorded for a leaf that is there. */
SH_MUST_USE enum sh_cause sh_journal_hash(const struct sh_journal *journal, uint64_t leaf,
                                          uint8_t out[SH_HASH_SIZE]);
/* What the anchor says the hashes of `count` leaves from `first` on are: kept for those that are not there. */
SH_MUST_USE enum sh_cause sh_journal_expect(struct sh_journal *journal, uint64_t first,
                                            const uint8_t *hashes, unsigned count);
/* That of a leaf that is not there; *ret_known = false: none was kept. */
SH_MUST_USE enum sh_cause sh_journal_expected(const struct sh_journal *journal, uint64_t leaf,
                                              uint8_t out[SH_HASH_SIZE], bool *ret_known);
/* The data is not what the record says: the leaf is not there any more. */
SH_MUST_USE enum sh_cause sh_journal_clear(struct sh_journal *journal, uint64_t leaf);
/* So many leading leaves, data and records, are on the disk now. */
SH_MUST_USE enum sh_cause sh_journal_set_synced(struct sh_journal *journal, uint64_t leaves);
/* The root over the recorded hashes, read in order; all `leaves` must be there. Any descriptor of the file does, so that it may be
 * done beside the loop. Fails with store.io-error, store.damaged, env.no-memory. */
SH_MUST_USE enum sh_cause sh_journal_root(int fd, uint64_t leaves, uint8_t out[SH_HASH_SIZE]);
/* No leaf is there any more. */
SH_MUST_USE enum sh_cause sh_journal_forget(struct sh_journal *journal);
void sh_journal_close(struct sh_journal *journal);

/* A read failed with this because of the place (EIO), not of the disk as a whole. To be asked at once. */
bool sh_is_dead_sector(enum sh_cause cause);
/* pread and pwrite of all n octets; an early end is store.damaged. After a failure errno is its. */
SH_MUST_USE enum sh_cause sh_read_at(int fd, void *out, size_t n, uint64_t offset);
SH_MUST_USE enum sh_cause sh_write_at(int fd, const void *bytes, size_t n, uint64_t offset);

#endif
