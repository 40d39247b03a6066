/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The anchor's door for connections over other links than BLE, before it is known whose they are. TLS decides: a PSK says
 * which session a further lane belongs to; certificates under "simhop1-direct" begin a session of their own. Who says nothing is
 * bounded in number (the oldest makes room, one that has said nothing before the others) and time, and costs a channel only once it speaks.
 */
#ifndef SIMHOP_CLI_LOBBY_H
#define SIMHOP_CLI_LOBBY_H

#include "cli/session.h"

#define SH_LOBBY_GUESTS 512
#define SH_LOBBY_MS     4000  /* for who says nothing */
#define SH_LOBBY_TLS_MS 10000 /* for the handshake, which may have to wait for hundreds of others */

struct sh_lobby_ops {
    /* Whose PSK identity is it? Fails with tls.session-unknown. */
    enum sh_cause (*find_psk)(struct sh_bytes identity, struct sh_secret *ret_psk,
                              const struct sh_session **ret_host, void *user);
    /* The key is proved, the lane is that session's: taken over, but for a failure, which ends it. */
    enum sh_cause (*adopt)(const struct sh_session *host, int kind, struct sh_lane *lane,
                           void *user);
    /* The same with both certificates: it begins a session (sh_session_new_direct). */
    enum sh_cause (*direct)(int kind, struct sh_lane *lane, void *user);
};

struct sh_guest {
    struct sh_lobby *lobby;
    struct sh_guest *next;
    struct sh_stream *stream;      /* until it speaks */
    struct sh_lane *lane;          /* then */
    const struct sh_session *host; /* whose key it says that it has */
    int kind;                      /* Simhop__LinkKind */
    int64_t wall;
    sh_ms since;
    bool gone;
};

struct sh_lobby {
    const struct sh_lobby_ops *ops;
    void *user;
    const struct sh_identity *identity; /* of the anchor */
    struct sh_channel_context *lan;     /* of the channels that come by LAN; NULL: not made yet */
    struct sh_guest *guests, **last;    /* the oldest first */
    unsigned count;
};

/* Zeroed before, with the first three filled. */
void sh_lobby_init(struct sh_lobby *lobby);

/* Takes the stream over. wall: seconds since 1970, by which certificates are judged. Direct sessions come by LAN only. */
void sh_lobby_enter(struct sh_lobby *lobby, int kind, struct sh_stream *stream, int64_t wall,
                    sh_ms now);
/* Ends those that have been silent for too long. */
void sh_lobby_tick(struct sh_lobby *lobby, sh_ms now);
void sh_lobby_clear(struct sh_lobby *lobby);

#endif
