/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The secondary's side of a transfer, an engine: asks for the manifest, pulls missing leaves over
 * the best link that is up, verifies each in memory, puts it into the store, asks for roots,
 * finishes items, sends the receipt. When a better link comes up, it is asked for one leaf; once that is here and verified, new
 * requests go there and what is in flight on the old one is still taken; when a link goes, what was in flight on it is asked for
 * again elsewhere. A link with requests open that gives no newly verified leaf within SH_STALL_MS
 * is dropped. No wait is without an end: where nothing new is verified, by whatever link, for
 * SH_IDLE_MS (and one second for each 64 MiB that the anchor may have to hash for a root), the
 * transfer is over; that the anchor has hashed more counts as well.
 *
 * Of an item that changed since an older copy came, the anchor is asked for the hashes of all leaves, in order. What the copy has
 * with the hashes that are here is taken over, and only the rest is asked for, while more of them come. An anchor that does not
 * know how (its manifest says so), or does not answer, is asked for everything.
 *
 * Items are taken in the manifest's order, in which the anchor puts the bundle first. All are
 * opened in the store, and so have their space, before the first leaf is asked for; only the next
 * few keep descriptors (see sh_store_item_rest).
 *
 * How long it waits is counted by transfer/patience.h, whose time leaves out what was an absence of ours.
 */
#ifndef SIMHOP_TRANSFER_PULLER_H
#define SIMHOP_TRANSFER_PULLER_H

#include "transfer/leaf.h"
#include "transfer/patience.h"
#include "transfer/server.h" /* sh_link_id */
#include "transfer/store.h"

#define SH_STALL_MS      5000
#define SH_MANIFEST_MS   5000 /* manifest, root, receipt's acknowledgement: asked again then */
#define SH_MANIFEST_ASKS 3    /* without an answer: transfer.stalled */
#define SH_RECEIPT_ASKS                                                                            \
    2 /* without an answer: receipt.timeout, but while the anchor says that it reads */
#define SH_TRIAL_MS     1000 /* what a fresh link is tried with is not asked of another before */
#define SH_PROGRESS_MS  200
#define SH_DISK_TOLD_MS 4000
#define SH_DISK_MS      30000 /* to write what came, or to sync an item that is complete: store.slow */

struct sh_puller_item {
    uint8_t id[SH_ITEM_ID_SIZE];
    char name[SH_ITEM_NAME_MAX + 1];
    int kind;
    uint64_t size;
    uint64_t verified;
    uint8_t root[32];   /* once finished */
    uint8_t sha256[32]; /* of the whole content, once finished */
    char *path;         /* once finished */
    int64_t mtime_ns;   /* of the file, once it is about to be finished; 0 for what was had */
};

/* Nothing is called after done. Of the puller's functions only sh_puller_link_down may be called
 * from inside. */
struct sh_puller_ops {
    enum sh_cause (*send)(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                          void *user);
    /* The link does not move bytes: the session closes it (and then calls link_down). */
    void (*drop_link)(sh_link_id link, enum sh_cause cause, void *user);
    /* Was this very item received before and is it still there? true: fills root, sha256 and
     * path, and the item counts as verified without a byte. */
    bool (*have)(struct sh_puller_item *item, void *user);
    /* Which folder an item goes to (borrowed, must outlive the puller), and whether it may
     * replace (bundles). */
    enum sh_cause (*store)(const struct sh_puller_item *item, struct sh_store **ret_store,
                           bool *ret_replace, void *user);
    /* Where older copies of the item may be, of which what did not change is taken over: malloc'ed paths, the likelier one
     * first, NULL behind the last. May be NULL. Fails with env.no-memory. */
    enum sh_cause (*older)(const struct sh_puller_item *item, char *paths[SH_STORE_OLDER],
                           void *user);
    /* The disk has not done for SH_DISK_TOLD_MS what it was asked for. */
    void (*disk_waits)(void *user);
    /* All is here, and for SH_DISK_TOLD_MS the anchor has been reading again what it did not send, for the root: of this item it
     * has read so many octets. Once. May be NULL. */
    void (*anchor_reads)(const struct sh_puller_item *item, uint64_t octets, void *user);
    /* At most each SH_PROGRESS_MS, and at the end of an item. link = the one it mostly comes
     * over. */
    void (*progress)(uint32_t index, const struct sh_puller_item *item, sh_link_id link,
                     void *user);
    /* Verified and synced, about to appear under item->path; not called for what was had. A cause ends the transfer,
     * and the item stays as it is in the store. */
    enum sh_cause (*finishing)(uint32_t index, const struct sh_puller_item *item, void *user);
    /* In the manifest's order, also for what was had: verified, fsynced, under its name. It may
     * move the file and put another malloc'ed path into item->path. A cause refuses the item (a
     * bad bundle) and ends the transfer. */
    enum sh_cause (*finished)(uint32_t index, struct sh_puller_item *item, void *user);
    /* Signs the receipt: malloc'ed DER. */
    enum sh_cause (*sign)(struct sh_bytes signed_part, uint8_t **ret_signature, size_t *ret_len,
                          void *user);
    /* The receipt is acknowledged (SH_OK), or the transfer failed. Called once. */
    void (*done)(enum sh_cause cause, void *user);
};

struct sh_puller;

SH_MUST_USE enum sh_cause sh_puller_new(const struct sh_puller_ops *ops, void *user, sh_ms now,
                                        struct sh_puller **ret_puller);
void sh_puller_free(struct sh_puller *puller);
/* Over, and nobody is called. What is on its way to the disk is waited for, a moment; then the files are closed. */
void sh_puller_leave(struct sh_puller *puller);

/* rank: smaller is better (the order of --links, best first). kind decides the window: BLE
 * small, others large. */
void sh_puller_link_up(struct sh_puller *puller, sh_link_id link, int kind, unsigned rank,
                       sh_ms now);
void sh_puller_link_down(struct sh_puller *puller, sh_link_id link, sh_ms now);

/* Tells that further links are being tried until then, so that no link at all is not the end
 * before. */
void sh_puller_links_expected(struct sh_puller *puller, sh_ms until);

/* One message from a link (Manifest, Leaf, LeafHashes, Root, Progress, ReceiptAck). What is wrong with it is given to
 * done, not returned: the puller is then over. Messages after the end, and of links that are not
 * up, are ignored. */
void sh_puller_rx(struct sh_puller *puller, sh_link_id link, unsigned type, struct sh_bytes payload,
                  sh_ms now);
/* Deadlines. Returns when it wants to be called again at the latest; that may be sooner after any of
 * the calls above. */
sh_ms sh_puller_tick(struct sh_puller *puller, sh_ms now);

/* Leaves were asked of this link and are not here. */
bool sh_puller_waits_for(const struct sh_puller *puller, sh_link_id link);

size_t sh_puller_item_count(const struct sh_puller *puller);
const struct sh_puller_item *sh_puller_item(const struct sh_puller *puller, size_t index);
/* Octets that are still to be verified; 0 until the list of items is here, and what is not compared with an older copy yet does
 * not count. */
uint64_t sh_puller_left(const struct sh_puller *puller);
/* Octets newly verified over links of a kind; octets that were there before this session, in pieces or in an older copy. */
uint64_t sh_puller_bytes(const struct sh_puller *puller, int kind);
uint64_t sh_puller_resumed(const struct sh_puller *puller);
/* What its end for want of bytes rests on; and how much longer than usual it waits now, for what the anchor may have to hash. */
const struct sh_patience *sh_puller_patience(const struct sh_puller *puller);
sh_ms sh_puller_hash_budget(const struct sh_puller *puller);

/* What a receipt signs, label "simhop1 receipt": transfer id (16) | count (4, big endian) |
 * roots (32 each). *ret_bytes is malloc'ed. Shared with the anchor, which checks it. */
SH_MUST_USE enum sh_cause sh_receipt_signed_part(const uint8_t transfer_id[16],
                                                 const uint8_t *roots, size_t count,
                                                 uint8_t **ret_bytes, size_t *ret_len);

#endif
