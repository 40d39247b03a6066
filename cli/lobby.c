/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/lobby.h"

#include "proto/log.h"

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
    *guest = (struct sh_guest){0};
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

static void leave(struct sh_guest *guest)
{
    sh_lane_free(guest->lane);
    *guest = (struct sh_guest){0};
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

void sh_lobby_enter(struct sh_lobby *lobby, int kind, struct sh_stream *stream, int64_t wall,
                    sh_ms now)
{
    struct sh_guest *guest = &lobby->guests[0];
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER, .now = wall};
    if (kind == SIMHOP__LINK_KIND__LINK_KIND_LAN) {
        config.direct = true;
        config.key = lobby->identity->key;
        config.cert = lobby->identity->server_cert;
        config.ca = lobby->identity->ca_cert;
    }
    for (size_t i = 0; i < SH_COUNT(lobby->guests) && guest->lane; i++) {
        if (!lobby->guests[i].lane || lobby->guests[i].since < guest->since)
            guest = &lobby->guests[i];
    }
    leave(guest);
    guest->lobby = lobby;
    guest->kind = kind;
    guest->since = now;
    enum sh_cause cause = sh_lane_new(stream, &config, &guest_ops, guest, &guest->lane);
    if (cause != SH_OK)
        sh_log("lobby: connection: %s", sh_cause_info(cause)->name);
}

void sh_lobby_tick(struct sh_lobby *lobby, sh_ms now)
{
    for (size_t i = 0; i < SH_COUNT(lobby->guests); i++) {
        struct sh_guest *guest = &lobby->guests[i];
        if (guest->lane && now >= guest->since + SH_LOBBY_MS)
            leave(guest);
    }
}

void sh_lobby_clear(struct sh_lobby *lobby)
{
    for (size_t i = 0; i < SH_COUNT(lobby->guests); i++)
        leave(&lobby->guests[i]);
}
