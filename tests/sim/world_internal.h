/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the world's own files: world.c (a run), world_devices.c (what there is before and after it),
 * world_links.c (the links of a run), world_raw.c (a hand-made peer), world_direct.c (a run without a radio), world_back.c (the anchor calls).
 */
#ifndef SIMHOP_TESTS_SIM_WORLD_INTERNAL_H
#define SIMHOP_TESTS_SIM_WORLD_INTERNAL_H

#include "world.h"
#include "world_stream.h"

#define WALL          1800000000
#define GUESTS_MAX    8
#define CALLS_MAX     32
#define STRANGERS_MAX 16

/* One side of a run. */
struct side {
    struct world *world;
    struct sh_session *session;
    struct stream *ble;
    bool sampling, over, done, in_transfer;
    enum sh_cause cause;
    sh_ms next_tick, next_sample, type_at, busy_until;
    enum sh_phase phase;
    sh_ms alive; /* the last sign of life */
    unsigned code_run;
    uint64_t samples;
};

struct guest {
    struct world *world;
    struct sh_lane *lane; /* NULL: a session has it */
    int kind;
    bool gone;
};

struct world {
    struct wire wire; /* streams, time, faults */
    struct device anchor, secondary;
    struct sh_item *items[SH_ITEMS_MAX];
    uint8_t *bytes[SH_ITEMS_MAX];
    uint64_t sizes[SH_ITEMS_MAX];
    size_t count;
    struct sh_bundle *draft;
    char dir[64], out[80], incoming[80], bundles[80];
    struct run *run;
    struct side sides[2]; /* by enum sh_role */
    struct guest guests[GUESTS_MAX];
    unsigned guest_count;
    struct sh_code code; /* on show */
    struct {
        unsigned attempt;
        int kind;
        sh_ms at;
    } dial;
    sh_ms transfer_since, group_at, group_goes_at, lan_dies_at; /* 0: not */
    bool group_up;
    sh_ms group_gone; /* when it went */
    struct stream *lan_end;
    struct guest callers[2];               /* of a direct run, by enum sh_role */
    struct stream *direct_end;             /* until it breaks */
    sh_ms direct_breaks_at, callers_until; /* 0: not */
    struct {
        bool open;
        struct {
            unsigned attempt, segment;
            sh_ms at; /* 0: none */
        } calls[CALLS_MAX];
        sh_ms strangers_at, dies_at; /* 0: not */
        struct stream *end;
        struct guest strangers[STRANGERS_MAX];
    } back;
};

/* Ends the test where the world itself cannot be made. */
void world_must(enum sh_cause cause, const char *what);
/* Begins a session of this role on one end of a stream. */
void world_start_side(struct world *world, enum sh_role role, struct stream *stream);
void world_fill_config(struct world *world, enum sh_role role, const struct sh_device *reconnect,
                       struct sh_session_config *config);
extern const struct sh_session_ops world_session_ops;
/* What the secondary dialled is answered, or not. */
void world_connect_link(struct world *world);
/* What comes or goes now. */
void world_change_links(struct world *world);
/* Both ends of a connection; the sessions begin when TLS is up. */
void world_start_direct(struct world *world);
/* Breaks that connection; ends those that have not got so far in time. */
void world_direct_tick(struct world *world);
/* The secondary listens, or no more; the anchor calls, or gives a call up. */
bool world_listen(bool on, void *user);
void world_call(struct world *world, const struct sh_attempt *attempt);
void world_call_off(struct world *world, unsigned attempt);
void world_back_tick(struct world *world);
sh_ms world_back_next(const struct world *world);
void world_back_clear(struct world *world);
/* To the next thing that happens; false: nothing will before the limit. */
bool world_step(struct world *world, sh_ms limit);
void world_clear_run(struct world *world);

#endif
