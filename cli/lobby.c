/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/lobby.h"

#include <stdlib.h>

#include "proto/log.h"

static void unlink_guest(struct sh_guest *guest)
{
    struct sh_lobby *lobby = guest->lobby;
    struct sh_guest **at = &lobby->guests;
    while (*at != guest)
        at = &(*at)->next;
    *at = guest->next;
    if (lobby->last == &guest->next)
        lobby->last = at;
    lobby->count--;
}

static void leave(struct sh_guest *guest)
{
    unlink_guest(guest);
    sh_stream_close(guest->stream);
    sh_lane_free(guest->lane);
    free(guest);
}

/* ---- One that speaks ---- */

static enum sh_cause guest_find_psk(struct sh_lane *lane SH_UNUSED, struct sh_bytes identity,
                                    struct sh_secret *ret_psk, void *user)
{
    struct sh_guest *guest = user;
    const struct sh_lobby *lobby = guest->lobby;
    return lobby->ops->find_psk(identity, ret_psk, &guest->host, lobby->user);
}

/* The handshake has proved the key. */
static enum sh_cause guest_up(struct sh_lane *lane, void *user)
{
    struct sh_guest *guest = user;
    const struct sh_lobby *lobby = guest->lobby;
    if (sh_channel_is_direct(sh_lane_channel(lane)))
        SH_TRY(lobby->ops->direct(guest->kind, lane, lobby->user));
    else
        SH_TRY(lobby->ops->adopt(guest->host, guest->kind, lane, lobby->user));
    unlink_guest(guest);
    free(guest);
    return SH_OK;
}

static enum sh_cause guest_msg(struct sh_lane *lane SH_UNUSED, unsigned type SH_UNUSED,
                               struct sh_bytes payload SH_UNUSED, void *user SH_UNUSED)
{
    return SH_PROTO_WRONG_STATE;
}

static void guest_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void guest_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause, void *user)
{
    struct sh_guest *guest = user;
    sh_log("lobby: a connection without a key: %s", sh_cause_info(cause)->name);
    guest->gone = true;
}

static void guest_after(void *user)
{
    struct sh_guest *guest = user;
    if (guest->gone)
        leave(guest);
}

static const struct sh_lane_ops guest_ops = {
    .up = guest_up,
    .msg = guest_msg,
    .find_psk = guest_find_psk,
    .writable = guest_writable,
    .down = guest_down,
    .after = guest_after,
};

static enum sh_cause begin_channel(struct sh_guest *guest)
{
    struct sh_lobby *lobby = guest->lobby;
    struct sh_stream *stream = guest->stream;
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER, .now = guest->wall};
    if (guest->kind == SIMHOP__LINK_KIND__LINK_KIND_LAN) {
        config.direct = true;
        config.key = lobby->identity->key;
        config.cert = lobby->identity->server_cert;
        config.ca = lobby->identity->ca_cert;
        if (!lobby->lan)
            SH_TRY(sh_channel_context_new(&config, true, &lobby->lan));
        config.context = lobby->lan;
    }
    guest->stream = NULL;
    return sh_lane_new(stream, &config, &guest_ops, guest, &guest->lane);
}

/* ---- One that has said nothing ---- */

static void silent_rx(struct sh_bytes bytes, void *user)
{
    struct sh_guest *guest = user;
    enum sh_cause cause = begin_channel(guest);
    if (cause == SH_OK) {
        sh_lane_rx_all(guest->lane, bytes);
        return;
    }
    sh_log("lobby: connection: %s", sh_cause_info(cause)->name);
    leave(guest);
}

static void silent_writable(void *user SH_UNUSED) {}

static void silent_closed(enum sh_cause cause SH_UNUSED, void *user)
{
    leave(user);
}

static const struct sh_stream_ops silent_ops = {
    .rx = silent_rx, .writable = silent_writable, .closed = silent_closed};

static void make_room(struct sh_lobby *lobby)
{
    struct sh_guest *oldest = lobby->guests, *silent = oldest;
    if (lobby->count < SH_LOBBY_GUESTS || !oldest)
        return;
    while (silent && silent->lane)
        silent = silent->next;
    leave(silent ? silent : oldest);
}

void sh_lobby_enter(struct sh_lobby *lobby, int kind, struct sh_stream *stream, int64_t wall,
                    sh_ms now)
{
    make_room(lobby);
    struct sh_guest *guest = calloc(1, sizeof(*guest));
    if (!guest) {
        sh_stream_close(stream);
        return;
    }
    *guest = (struct sh_guest){
        .lobby = lobby, .stream = stream, .kind = kind, .wall = wall, .since = now};
    stream->ops = &silent_ops;
    stream->user = guest;
    *lobby->last = guest;
    lobby->last = &guest->next;
    lobby->count++;
}

void sh_lobby_tick(struct sh_lobby *lobby, sh_ms now)
{
    for (struct sh_guest *guest = lobby->guests, *next = NULL; guest; guest = next) {
        next = guest->next;
        if (now >= guest->since + (guest->lane ? SH_LOBBY_TLS_MS : SH_LOBBY_MS))
            leave(guest);
    }
}

void sh_lobby_init(struct sh_lobby *lobby)
{
    lobby->last = &lobby->guests;
}

void sh_lobby_clear(struct sh_lobby *lobby)
{
    while (lobby->guests)
        leave(lobby->guests);
    sh_channel_context_free(lobby->lan);
    lobby->lan = NULL;
}
