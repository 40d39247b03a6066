/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the files of `share`: share.c (what the radio, the links and the sessions tell), share_visitors.c (who is
 * there, how many may be, and whose turn it is) and share_back.c (calls to secondaries).
 */
#ifndef SIMHOP_CLI_SHARE_INTERNAL_H
#define SIMHOP_CLI_SHARE_INTERNAL_H

#include "cli/background.h"
#include "cli/lobby.h"
#include "cli/share.h"
#include "pairing/heard.h"

struct share;

struct visitor {
    struct share *share;
    struct visitor *next;
    struct sh_session *session;
    struct sh_stream *stream;                /* only to know whose samples they are */
    struct sh_heard_id stepped[SH_SENT_MAX]; /* what it may have heard, if the power was stepped */
    struct sh_events events;
    sh_ms since;
    unsigned number; /* of this run's visitors */
    sh_ms due;       /* when its session wants to be ticked */
    bool direct, over, wants_group;
};

struct share {
    const struct sh_share_config *config;
    struct sh_edge edge;
    struct sh_background background;
    struct sh_receipts *receipts;
    struct visitor *visitors, **last; /* who is the next to be ticked stands first */
    unsigned visitor_count, direct_max, last_number;
    struct sh_lobby lobby;
    const Simhop__LinkOffer *offers[SH_SESSION_KINDS]; /* by Simhop__LinkKind; NULL: none now */
    unsigned accepted[SH_SESSION_KINDS];
    enum sh_cause radio; /* why it is gone; SH_OK: it is there */
    bool stopping, quitting, told_level;
    bool
        ending; /* --once: one took part, and `end` is what came of it; whose transfer is under way goes on */
    unsigned done;
    sh_ms rotated, settled;
    unsigned step;           /* of the transmit power, an index of `steps` */
    struct sh_sent_ids sent; /* the identifiers that may have been heard */
    uint8_t advertised_id[SH_ROTATING_ID_SIZE];
    enum sh_cause end;
};

/* share_back.c: of sh_session_ops and sh_link_ops. */
void sh_share_on_dial(const struct sh_attempt *attempt, void *user);
void sh_share_on_cancel(unsigned attempt, void *user);
void sh_share_on_dialled(struct sh_link *link, unsigned call, struct sh_stream *stream, void *user);
void sh_share_on_dial_failed(struct sh_link *link, unsigned call, enum sh_cause cause,
                             const struct sh_path_facts *facts, void *user);

/* In no list yet; whoever has been silent for too long made room. NULL: nobody is taken any more, or there is no memory. */
struct visitor *sh_share_new_visitor(struct share *share, bool direct);
/* To the end of the line. */
void sh_share_append(struct share *share, struct visitor *visitor);
/* Out of the line; there is one. */
void sh_share_take_first(struct share *share);
/* In no list any more. */
void sh_visitor_free(struct visitor *visitor);

/* Whoever has greeted us and is not over; by radio, or directly. */
bool sh_share_any_running(const struct share *share);
/* Of these, one that is not served yet: it is cut off if we end now. */
bool sh_share_any_unserved(const struct share *share);
/* Who is not in a transfer is told that we end. */
void sh_share_stop_others(struct share *share);
/* Of those that came this way as many as there may be? */
bool sh_share_is_full(const struct share *share, bool direct);

/* A turn: whose session wants it is ticked, as long as the turn lasts; the others stand first then. Who is over goes. Returns when it
 * wants to be called again at the latest. */
sh_ms sh_share_tick_visitors(struct share *share, sh_ms now);

/* How many connections there may be. Sets direct_max, and the limit of open files where that is too low. */
unsigned sh_share_fit_descriptors(struct share *share);

#endif
