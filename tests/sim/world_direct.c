/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run that begins on a network: TLS with both certificates, then the sessions. */
#include <stdlib.h>

#include "cli/lobby.h"
#include "world_internal.h"

static enum sh_role role_of(const struct guest *caller)
{
    return caller == &caller->world->callers[SH_ANCHOR] ? SH_ANCHOR : SH_SECONDARY;
}

static enum sh_cause caller_up(struct sh_lane *lane, void *user)
{
    struct guest *caller = user;
    struct world *world = caller->world;
    enum sh_role role = role_of(caller);
    struct side *side = &world->sides[role];
    struct sh_session_config config;
    struct sh_device known, *reconnect = NULL;
    if (role == SH_SECONDARY) {
        SH_TRY(sh_registry_get_device(world->secondary.registry, world->anchor.identity->id,
                                      SH_DEVICE_IS_ANCHOR, &known));
        reconnect = &known;
    }
    world_fill_config(world, role, reconnect, &config);
    SH_TRY(sh_session_new_direct(&config, &world_session_ops, side,
                                 SIMHOP__LINK_KIND__LINK_KIND_LAN, lane, SH_OK, &side->session));
    side->next_tick = world->wire.now;
    caller->lane = NULL;
    return SH_OK;
}

/* Nobody has the key of further links yet. */
static enum sh_cause caller_find_psk(struct sh_lane *lane SH_UNUSED,
                                     struct sh_bytes identity SH_UNUSED,
                                     struct sh_secret *ret_psk SH_UNUSED, void *user SH_UNUSED)
{
    return SH_TLS_SESSION_UNKNOWN;
}

static enum sh_cause caller_msg(struct sh_lane *lane SH_UNUSED, unsigned type SH_UNUSED,
                                struct sh_bytes payload SH_UNUSED, void *user SH_UNUSED)
{
    return SH_PROTO_WRONG_STATE;
}

static void caller_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void caller_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause, void *user)
{
    struct guest *caller = user;
    struct side *side = &caller->world->sides[role_of(caller)];
    caller->gone = true;
    side->over = true;
    side->cause = cause;
}

static void caller_after(void *user)
{
    struct guest *caller = user;
    if (!caller->gone)
        return;
    sh_lane_free(caller->lane);
    caller->lane = NULL;
    caller->gone = false;
}

static const struct sh_lane_ops server_ops = {.up = caller_up,
                                              .msg = caller_msg,
                                              .find_psk = caller_find_psk,
                                              .writable = caller_writable,
                                              .down = caller_down,
                                              .after = caller_after};
static const struct sh_lane_ops client_ops = {.up = caller_up,
                                              .msg = caller_msg,
                                              .writable = caller_writable,
                                              .down = caller_down,
                                              .after = caller_after};

void world_start_direct(struct world *world)
{
    const struct sh_identity *identity = world->anchor.identity;
    struct sh_channel_config server = {.role = SH_CHANNEL_SERVER,
                                       .key = identity->key,
                                       .cert = identity->server_cert,
                                       .ca = identity->ca_cert,
                                       .direct = true,
                                       .now = WALL};
    struct sh_channel_config client = {.role = SH_CHANNEL_CLIENT,
                                       .key = world->secondary.identity->key,
                                       .direct = true,
                                       .now = WALL};
    struct stream *ends[2];
    struct sh_device known;
    for (int role = 0; role < 2; role++) {
        world->callers[role].world = world;
        world->sides[role] = (struct side){.world = world, .next_tick = SH_NEVER};
    }
    world_must(sh_registry_get_device(world->secondary.registry, identity->id, SH_DEVICE_IS_ANCHOR,
                                      &known),
               "not linked");
    world_must(sh_cert_from_der(SH_BYTES(known.token, known.token_len), &client.cert), "token");
    world_must(sh_cert_from_der(SH_BYTES(known.ca, known.ca_len), &client.ca), "ca");
    wire_pair(&world->wire, world->run->link_latency ? world->run->link_latency : 1, ends);
    world->direct_end = ends[0];
    world->callers_until = world->wire.now + SH_LOBBY_MS;
    if (world->run->direct_breaks_after)
        world->direct_breaks_at = world->wire.now + world->run->direct_breaks_after;
    world_must(sh_lane_new(stream_base(ends[0]), &server, &server_ops, &world->callers[SH_ANCHOR],
                           &world->callers[SH_ANCHOR].lane),
               "lane");
    world_must(sh_lane_new(stream_base(ends[1]), &client, &client_ops,
                           &world->callers[SH_SECONDARY], &world->callers[SH_SECONDARY].lane),
               "lane");
    X509_free(client.cert);
    X509_free(client.ca);
}

void world_direct_tick(struct world *world)
{
    sh_ms now = world->wire.now;
    if (world->direct_end && world->direct_breaks_at && now >= world->direct_breaks_at) {
        world->direct_breaks_at = 0;
        wire_end(world->direct_end);
        world->direct_end = NULL;
    }
    if (!world->callers_until || now < world->callers_until)
        return;
    world->callers_until = 0;
    for (int role = 0; role < 2; role++) {
        struct guest *caller = &world->callers[role];
        if (!caller->lane)
            continue;
        caller_down(caller->lane, SH_LINK_TIMEOUT, caller);
        caller_after(caller);
    }
}
