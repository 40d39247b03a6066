/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was seen of the ways of each kind of link, an engine on the secondary: it is kept until the kind is given up or comes up, the
 * other end is asked how it looks from there where that would tell more, and then the verdict is told. Where no link is left, the last
 * verdict is what the transfer ends with. The judging itself is transfer/path.h.
 */
#ifndef SIMHOP_TRANSFER_PATHS_H
#define SIMHOP_TRANSFER_PATHS_H

#include "transfer/path.h"

#define SH_PATHS_KINDS 4 /* values of Simhop__LinkKind */
/* A verdict waits no longer for the other end's view, which stands behind a piece that a slow radio sends for two seconds. */
#define SH_VIEW_MS       3000
#define SH_VIEW_AGAIN_MS 5000

struct sh_paths_ops {
    /* Asks the other end for its view of this kind (sh_paths_view answers). false: it cannot be asked now. */
    bool (*ask)(int kind, void *user);
    /* A kind was given up, for this cause. */
    void (*failed)(int kind, enum sh_cause verdict, void *user);
    /* May the kind come up yet without an attempt of this end? The verdict waits for that as for the view. NULL: no. */
    bool (*hopes)(int kind, void *user);
};

/* Zeroed but for the first two. */
struct sh_paths {
    const struct sh_paths_ops *ops;
    void *user;
    struct sh_path_known {
        struct sh_path_facts facts; /* of the most telling attempt */
        enum sh_cause cause;        /* what that failed with */
        sh_ms asked;                /* for the other end's view; 0: never */
        bool awaited, pending; /* the answer; and with it the verdict on a kind that was given up */
        sh_ms until;           /* the verdict waits no longer */
        enum sh_cause given_up;
    } known[SH_PATHS_KINDS]; /* since the kind was up last */
    enum sh_cause verdict;   /* the last on a link that did not come up again */
    int verdict_kind;
};

/* An attempt or a link failed for this cause. facts: as far as this end knows them, `mute` with them; without a phase they are passed
 * over. Returns what it means, as far as can be told now. */
enum sh_cause sh_paths_note(struct sh_paths *paths, int kind, const struct sh_path_facts *facts,
                            enum sh_cause cause, sh_ms now);
/* The other end's view of the kind; passed over if it was not asked for. */
void sh_paths_view(struct sh_paths *paths, int kind, bool listening, unsigned connections);
/* A link of the kind is up: what was seen before is over. */
void sh_paths_up(struct sh_paths *paths, int kind);
/* If nothing else comes up, it is this that ends the transfer; what is no verdict is passed over. */
void sh_paths_keep(struct sh_paths *paths, int kind, enum sh_cause cause);
/* The kind is tried no more: the verdict is told at once, or when the view is here and there is no hope. */
void sh_paths_given_up(struct sh_paths *paths, int kind, enum sh_cause cause, sh_ms now);
/* Returns when it wants to be called again at the latest. */
sh_ms sh_paths_tick(struct sh_paths *paths, sh_ms now);
/* The cause that a transfer ends with which ended for this one. */
enum sh_cause sh_paths_end(struct sh_paths *paths, enum sh_cause cause);

#endif
