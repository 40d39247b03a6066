/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A book of receipts: those that come within one turn of the anchor's loop are kept in the registry by one transaction, since each
 * transaction waits for the disk, however many receipts it has. Whoever hands one in hears when it is durable, and
 * says nothing of it before.
 */
#ifndef SIMHOP_CLI_RECEIPTS_H
#define SIMHOP_CLI_RECEIPTS_H

#include "pairing/registry.h"

struct sh_receipts;

/* SH_OK: the receipt is durable. Else why neither it nor any other of its turn is kept (what the registry fails with, with its
 * detail). It may add to the book and forget others of it, but not commit. */
typedef void (*sh_receipt_kept)(enum sh_cause cause, void *user);

/* The registry is borrowed and must outlive the book. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_receipts_new(struct sh_registry *registry,
                                          struct sh_receipts **ret_book);
/* What waits is not kept, and nobody is told. */
void sh_receipts_free(struct sh_receipts *book);

/* Copies it; the next commit calls kept, once. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_receipts_add(struct sh_receipts *book,
                                          const struct sh_receipt *receipt, sh_receipt_kept kept,
                                          void *user);
/* This user is not told any more; what it added is kept all the same. */
void sh_receipts_forget(struct sh_receipts *book, const void *user);

/* Is there anything to commit? */
bool sh_receipts_waits(const struct sh_receipts *book);
/* Keeps what was added, all of it or nothing, and tells those who added it, first come first. Waits for the disk if there is
 * anything, at most once, and for another process as the registry does. */
void sh_receipts_commit(struct sh_receipts *book);

#endif
