/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the puller's files: puller.c (links, deadlines, what is called from outside),
 * puller_manifest.c (checks the list and opens the items), puller_older.c (what older copies
 * have of an item that changed), puller_pull.c (asks for leaves and takes them), puller_end.c (roots, finished items, the receipt).
 *
 * A leaf is in one of three states: missing and not yet asked for (at or behind the item's cursor),
 * in a flight, or verified. A flight whose link is 0 lost its link and is asked for again before
 * anything new.
 *
 * Probes of a fresh link passed, and still it may carry nothing. So a better one is asked for one leaf, while the one that was
 * the best goes on, and takes its place when that leaf is here.
 */
#ifndef SIMHOP_TRANSFER_PULLER_INTERNAL_H
#define SIMHOP_TRANSFER_PULLER_INTERNAL_H

#include "transfer/puller.h"

#define SH_PULL_LINKS        8
#define SH_PULL_LINK_FLIGHTS 16 /* is at most SH_SERVER_PULLS */
#define SH_PULL_FLIGHTS      (SH_PULL_LINKS * SH_PULL_LINK_FLIGHTS)
#define SH_PULL_FLIGHT_MAX   16 /* leaves */
#define SH_PULL_ACTIVE_ITEMS 16 /* unfinished items that may be asked for: two descriptors each */
#define SH_PULL_KINDS        4

struct sh_flight {
    bool used;
    sh_link_id link; /* 0: asked of nobody any more */
    uint64_t order;  /* of asking */
    uint32_t item;
    uint64_t first;
    unsigned count;
    uint16_t missing; /* a bit a leaf */
    sh_ms active;     /* asked, became the oldest of its link, or gave a leaf */
};

struct sh_pull_link {
    sh_link_id id; /* 0: free */
    int kind;
    unsigned rank;
    uint64_t order;      /* of coming up */
    bool proven;         /* gave a leaf that is what its hash says */
    bool tried;          /* was asked for one, to see whether it does */
    unsigned unanswered; /* requests other than pulls, since the last message */
    unsigned queued;     /* leaves that it gave and that are not written yet: it is not to blame */
    sh_ms active;        /* began to have requests open, or gave a newly verified leaf */
};

/* A request that is asked again: the manifest, a root, the receipt. */
struct sh_pull_ask {
    unsigned asks;
    unsigned silent; /* of these, asked because the one before was not answered in time */
    sh_link_id link; /* 0: waits for nobody */
    sh_ms asked;
};

/* What older copies have of an item (puller_older.c). */
struct sh_pull_older {
    char *paths[SH_STORE_OLDER];
    struct sh_store_older copies;
    uint64_t known; /* leading leaves whose hashes are here */
    struct sh_pull_ask ask;
    uint64_t settled;           /* leaves before it are here, or in no copy */
    uint64_t differing, pulled; /* octets in no copy, and of these came since */
};

struct sh_pull_item {
    struct sh_puller_item info;
    struct sh_store_item *store; /* NULL: had before, or finished */
    uint64_t leaves, cursor;
    struct sh_pull_older *older; /* NULL: there is nothing to compare with, or that was done */
    bool asked_hashes;
    struct sh_pull_ask root_ask;
    bool has_root, finished;
    uint64_t hashed; /* octets, by the anchor for the root, as it says */
    bool resumed;    /* the anchor has to read what it does not send to know the root */
};

struct sh_puller {
    const struct sh_puller_ops *ops;
    void *user;
    bool over, inside; /* inside: one of our functions runs */
    struct sh_patience patience;
    struct sh_pull_link links[SH_PULL_LINKS];
    uint64_t link_order;
    struct sh_flight flights[SH_PULL_FLIGHTS];
    uint64_t flight_order;

    struct sh_pull_ask manifest_ask;
    uint8_t transfer_id[16];
    bool leaf_hashes;           /* the anchor answers when it is asked for them */
    struct sh_pull_item *items; /* NULL until the manifest is here */
    size_t count;
    size_t first;   /* the first that is not finished */
    bool more_work; /* on that one */
    sh_ms disk;     /* since then the disk is waited for, SH_NEVER: it is not */
    sh_ms reads;    /* since then the anchor's reading is all that is, SH_NEVER: it is not */
    bool disk_told, reads_told;

    struct sh_pull_ask receipt_ask;
    uint8_t *roots;
    uint8_t *signature;
    size_t signature_len;

    uint64_t bytes[SH_PULL_KINDS], resumed;
    sh_ms progress_at;
    uint32_t progress_item; /* has news that were not told yet, or UINT32_MAX */
    sh_link_id progress_link;
};

/* puller.c */
void sh_puller_end(struct sh_puller *puller, enum sh_cause cause);
struct sh_pull_link *sh_puller_link(struct sh_puller *puller,
                                    sh_link_id id); /* NULL for 0 or unknown */
/* Of those that are proven; of none, the one that came up first. NULL if none is up. */
struct sh_pull_link *sh_puller_best_link(struct sh_puller *puller);
/* A link that fails is down afterwards. */
bool sh_puller_send(struct sh_puller *puller, sh_link_id link, unsigned type,
                    const ProtobufCMessage *message);
/* Is it time to ask (again)? Then *ret_link is whom: the best of those that answer. */
bool sh_puller_ask_due(struct sh_puller *puller, const struct sh_pull_ask *ask, sh_ms wait,
                       sh_ms now, sh_link_id *ret_link);
void sh_puller_asked(struct sh_puller *puller, struct sh_pull_ask *ask, sh_link_id link, sh_ms now);
/* To be seen when it is due again: `most` asks were not answered, and no link is up that was not
 * tried. */
bool sh_puller_ask_spent(struct sh_puller *puller, const struct sh_pull_ask *ask, unsigned most);
/* at_once: not only each SH_PROGRESS_MS. */
void sh_puller_progress(struct sh_puller *puller, uint32_t index, bool at_once, sh_ms now);

/* puller_manifest.c */
SH_MUST_USE enum sh_cause sh_puller_rx_manifest(struct sh_puller *puller, struct sh_bytes payload,
                                                sh_ms now);

/* puller_older.c */
/* The item is opened: are there older copies, and is it worth to look at them? */
SH_MUST_USE enum sh_cause sh_puller_older_begin(struct sh_puller *puller,
                                                struct sh_pull_item *item);
void sh_puller_older_end(struct sh_pull_item *item);
/* Asks for hashes. */
void sh_puller_older(struct sh_puller *puller, sh_ms now);
SH_MUST_USE enum sh_cause sh_puller_rx_leaf_hashes(struct sh_puller *puller,
                                                   struct sh_bytes payload, sh_ms now);
/* Has a little of what is missing compared. */
SH_MUST_USE enum sh_cause sh_puller_take_over(struct sh_puller *puller, sh_ms now, bool *ret_more);
/* A leaf was. */
void sh_puller_older_compared(struct sh_puller *puller, uint32_t index,
                              const struct sh_store_news *news);
/* Octets that are known to have to be pulled. */
uint64_t sh_puller_older_left(const struct sh_pull_older *older);
/* What is missing below this leaf has to be pulled. */
uint64_t sh_puller_settled(const struct sh_pull_item *item);

/* puller_pull.c */
/* At rest another process may have gone on with it. Counts what is there and was not counted as having been here before. */
SH_MUST_USE enum sh_cause sh_puller_wake(struct sh_puller *puller, struct sh_pull_item *item);
/* It counts when sh_puller_collect finds it written. */
SH_MUST_USE enum sh_cause sh_puller_rx_leaf(struct sh_puller *puller, struct sh_pull_link *link,
                                            struct sh_bytes payload);
SH_MUST_USE enum sh_cause sh_puller_fill(struct sh_puller *puller, sh_ms now);
/* Counts what is written by now. Fails with what became of a leaf, store.slow. */
SH_MUST_USE enum sh_cause sh_puller_collect(struct sh_puller *puller, sh_ms now);
/* What waits to be written waits for no more. */
void sh_puller_hurry(struct sh_puller *puller);
void sh_puller_orphan(struct sh_puller *puller, sh_link_id link);
/* A link whose requests are overdue, 0 if none; requests that others have overtaken are taken
 * back. */
sh_link_id sh_puller_stalled_link(struct sh_puller *puller, sh_ms now);

/* puller_end.c */
SH_MUST_USE enum sh_cause sh_puller_rx_root(struct sh_puller *puller, struct sh_bytes payload,
                                            sh_ms now);
SH_MUST_USE enum sh_cause sh_puller_rx_progress(struct sh_puller *puller, struct sh_bytes payload,
                                                sh_ms now);
SH_MUST_USE enum sh_cause sh_puller_rx_receipt_ack(struct sh_puller *puller,
                                                   struct sh_bytes payload);
/* Asks for roots, finishes items in order, sends the receipt. */
SH_MUST_USE enum sh_cause sh_puller_advance(struct sh_puller *puller, sh_ms now);
bool sh_puller_complete(const struct sh_pull_item *item);
/* It has something to do. Fails with store.slow when it has had SH_DISK_MS for it. */
SH_MUST_USE enum sh_cause sh_puller_await_disk(struct sh_puller *puller, sh_ms now);

#endif
