/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the secondary's own files: sync.c (search, connection, session), sync_direct.c (the way past the search),
 * sync_again.c (a second search), sync_links.c (what the links tell), sync_trace.c (what is recorded).
 */
#ifndef SIMHOP_CLI_SYNC_INTERNAL_H
#define SIMHOP_CLI_SYNC_INTERNAL_H

#include "cli/again.h"
#include "cli/ask.h"
#include "cli/background.h"
#include "cli/direct.h"
#include "cli/linked.h"
#include "cli/nearby.h"
#include "cli/sync.h"

struct sync {
    const struct sh_sync_config *config;
    struct sh_edge edge;
    struct sh_background background;
    struct sh_events events;
    struct sh_nearby *nearby;
    struct sh_linked linked;
    struct sh_ask *ask;
    struct sh_session *session, *old; /* old: over, freed with the next tick */
    struct sh_stream *stream;
    struct sh_nearby_pick picked;
    sh_ms connect_deadline;      /* of the phase; SH_NEVER: not in it */
    enum sh_cause connect_cause; /* what the last try ended with */
    unsigned connects, code_run;
    enum sh_phase phase; /* until the session has its own */
    char *incoming_dir, *bundle_dir;
    bool quitting, told_level;
    bool again; /* linked by now, whatever --pair says */
    enum sh_cause end;

    struct sh_direct *direct; /* NULL: not wanted */
    sh_ms trial_deadline;     /* of a direct session that was not taken yet; SH_NEVER: it is none */
    enum sh_phase phase_before;
    struct sh_nearby_pick waiting; /* who is near, while the direct way may still be shorter */
    bool pick_waits;
    struct sh_again lost;
    uint8_t again_id[SH_DEVICE_ID_SIZE];
    enum sh_cause radio; /* why it is gone, while the direct way is all that there is */
};

/* sync.c */
extern const struct sh_nearby_ops sh_sync_nearby_ops;
void sh_sync_quit(struct sync *sync, enum sh_cause cause);
/* Connects to the one that is picked. */
void sh_sync_connect(struct sync *sync);
/* A session with the linked one that is picked, on this lane (sh_session_new_direct). */
SH_MUST_USE enum sh_cause sh_sync_session_on(struct sync *sync, struct sh_lane *lane);

/* sync_direct.c */
/* Begins, where there is a linked anchor (only: of this name; NULL: any) that may be reached so and nearness may be done without.
 * Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_sync_direct_begin(struct sync *sync, const char *only);
/* The session began directly and has not been taken yet. */
bool sh_sync_on_trial(const struct sync *sync);
/* Does it have to be waited for? */
bool sh_sync_direct_may_win(const struct sync *sync);
/* The session on trial has got into its transfer; or came to nothing. */
void sh_sync_direct_taken(struct sync *sync);
void sh_sync_direct_refused(struct sync *sync, enum sh_cause cause);
sh_ms sh_sync_direct_tick(struct sync *sync, sh_ms now);

/* sync_links.c: what the edge is opened with, and of sh_session_ops. */
extern const struct sh_link_ops sh_sync_link_ops;
void sh_sync_on_dial(const struct sh_attempt *attempt, void *user);
void sh_sync_on_cancel(unsigned attempt, void *user);
bool sh_sync_on_listen(bool on, void *user);

/* sync_trace.c: what the search is given goes into the record of the run. */
void sh_sync_trace_search(const struct sync *sync);
void sh_sync_trace_counted(const struct sh_ble_heard *heard, const struct sh_advert *advert,
                           double known_dbm, bool linked, sh_ms now, void *user);
void sh_sync_trace_looks(sh_ms now, void *user);

/* sync_again.c */
/* What `old` leaves of its transfer. */
void sh_sync_tell_held(const struct sync *sync);
/* Begins the search. id: of this linked one only; NULL: as --anchor says. */
SH_MUST_USE enum sh_cause sh_sync_look_for(struct sync *sync, const uint8_t *id);
/* The session that is `old` ended with this: is the device looked for again? Then the search has begun. */
bool sh_sync_begin_again(struct sync *sync, enum sh_cause cause);
/* One that was lost was found again, but not connected to: looks for it once more while there is time, false if there is none. */
bool sh_sync_search_on(struct sync *sync);
/* Gives the search up in time. */
sh_ms sh_sync_again_tick(struct sync *sync, sh_ms now);

#endif
