/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The anchor's side of a transfer, an engine: answers ManifestRequest, Pull, LeafHashesRequest, RootRequest,
 * Ping and Receipt, on whatever link they come, and keeps nothing that a kill could lose. Leaves are read
 * when the link has room for them, so memory does not grow with the item or with what a peer asks
 * for. Only sh_server_work serves, SH_SERVER_BURST leaves a link at most, so that links take turns, and so can
 * those who are served by other servers: after rx, and when a link has room again, call it until it says that there is no more.
 */
#ifndef SIMHOP_TRANSFER_SERVER_H
#define SIMHOP_TRANSFER_SERVER_H

#include "transfer/item.h"
#include "transfer/leaf.h"

#define SH_SERVER_PULLS 16   /* queued a link; more is proto.wrong-state */
#define SH_SERVER_LINKS 16   /* up at once; more are not served */
#define SH_SERVER_BURST 4    /* leaves a call and link */
#define SH_PULL_MAX     4096 /* leaves a Pull */

struct sh_server;
typedef unsigned sh_link_id; /* given by the session, 1.. */

struct sh_server_ops {
    /* Sends on a link. A cause means that the link is gone; the server forgets it. */
    enum sh_cause (*send)(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                          void *user);
    enum sh_cause (*send_leaf)(sh_link_id link, const struct sh_leaf *leaf, void *user);
    size_t (*pending)(sh_link_id link, void *user);
    /* What the secondary has verified of an item (its Progress). */
    void (*progress)(uint32_t item, uint64_t verified, uint64_t total, void *user);
    /* The receipt is here; roots are those of our items. Once: it is kept, and sh_server_receipt_kept called then, perhaps from
     * inside. */
    enum sh_cause (*receipt)(const Simhop__Receipt *receipt, void *user);
};

/* items are borrowed and must outlive the server; a bundle stands first. transfer_id: 16 octets.
 * Fails with transfer.bad-manifest (no item, over 1024, one name twice, names too long for a
 * manifest of 64 KiB), env.no-memory. */
SH_MUST_USE enum sh_cause sh_server_new(struct sh_item *const *items, size_t count,
                                        const uint8_t transfer_id[16],
                                        const struct sh_server_ops *ops, void *user,
                                        struct sh_server **ret_server);
void sh_server_free(struct sh_server *server);

void sh_server_link_up(struct sh_server *server, sh_link_id link);
void sh_server_link_down(struct sh_server *server, sh_link_id link);

/* One message from a link. Fails with proto.wrong-state (not a message for an anchor, too many
 * pulls), proto.malformed (item or leaf out of range, count 0 or over SH_PULL_MAX or SH_LEAF_HASHES_MAX, a receipt
 * of other length or transfer), transfer.root-mismatch (a receipt for other roots),
 * transfer.source-changed, source.unreadable, what receipt gave, env.no-memory. After a cause
 * the session ends. A message of a link that is not up (any more) is ignored. */
SH_MUST_USE enum sh_cause sh_server_rx(struct sh_server *server, sh_link_id link, unsigned type,
                                       struct sh_bytes payload);
/* Some serving on links that have room, and some hashing for leaf hashes and roots that are asked for, for items that the secondary says
 * it has, and for a receipt; *ret_more: call again when idle. Same causes. */
SH_MUST_USE enum sh_cause sh_server_work(struct sh_server *server, bool *ret_more);

/* What ops->receipt gave is durable: only now the secondary hears so. */
void sh_server_receipt_kept(struct sh_server *server);

/* What it has to do next needs what is done beside the loop, see sh_item_set_worker: call work when that did something. */
bool sh_server_waits(const struct sh_server *server);

/* After transfer.source-changed: which item it was, from 1; else 0. */
uint32_t sh_server_changed(const struct sh_server *server);

/* Octets of leaf data given to this link so far, also after it went down. */
uint64_t sh_server_sent(const struct sh_server *server, sh_link_id link);

#endif
