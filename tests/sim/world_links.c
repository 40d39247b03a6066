/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The links of a run: what becomes of the secondary's calls, and networks and groups that come and go. */
#include "world_internal.h"

/* ---- The anchor's door for further links ---- */

static enum sh_cause guest_find_psk(struct sh_lane *lane SH_UNUSED, struct sh_bytes identity,
                                    struct sh_secret *ret_psk, void *user)
{
    const struct guest *guest = user;
    return sh_session_find_psk(guest->world->sides[SH_ANCHOR].session, identity, ret_psk);
}

static enum sh_cause guest_up(struct sh_lane *lane, void *user)
{
    struct guest *guest = user;
    if (!sh_session_adopt(guest->world->sides[SH_ANCHOR].session, guest->kind, lane))
        return SH_REFUSED_BUSY;
    guest->lane = NULL;
    return SH_OK;
}

static enum sh_cause guest_msg(struct sh_lane *lane SH_UNUSED, unsigned type SH_UNUSED,
                               struct sh_bytes payload SH_UNUSED, void *user SH_UNUSED)
{
    return SH_PROTO_WRONG_STATE;
}

static void guest_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void guest_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause SH_UNUSED, void *user)
{
    struct guest *guest = user;
    guest->gone = true;
}

static void guest_after(void *user)
{
    struct guest *guest = user;
    if (!guest->gone)
        return;
    sh_lane_free(guest->lane);
    guest->lane = NULL;
    guest->gone = false;
}

static const struct sh_lane_ops guest_ops = {
    .up = guest_up,
    .msg = guest_msg,
    .find_psk = guest_find_psk,
    .writable = guest_writable,
    .down = guest_down,
    .after = guest_after,
};

void world_connect_link(struct world *world)
{
    unsigned attempt = world->dial.attempt;
    world->dial.at = 0;
    if (world->run->dial_unanswered ||
        (world->run->group_unanswered &&
         world->dial.kind == SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT))
        return;
    if (world->run->lan_fails != SH_OK && world->dial.kind == SIMHOP__LINK_KIND__LINK_KIND_LAN) {
        sh_session_dial_failed(world->sides[SH_SECONDARY].session, attempt, world->dial.kind,
                               world->run->lan_fails, &world->run->lan_facts);
        return;
    }
    if (world->lan_dies_at == SH_NEVER && world->dial.kind == SIMHOP__LINK_KIND__LINK_KIND_LAN) {
        sh_session_dial_failed(world->sides[SH_SECONDARY].session, attempt, world->dial.kind,
                               SH_LINK_UNREACHABLE, NULL);
        return;
    }
    if (world->guest_count == GUESTS_MAX || world->sides[SH_ANCHOR].over) {
        sh_session_dial_failed(world->sides[SH_SECONDARY].session, attempt, world->dial.kind,
                               SH_LINK_REFUSED, NULL);
        return;
    }
    struct stream *ends[2];
    wire_pair(&world->wire, world->run->link_latency ? world->run->link_latency : 1, ends);
    struct guest *guest = &world->guests[world->guest_count++];
    *guest = (struct guest){.world = world, .kind = world->dial.kind};
    if (guest->kind == SIMHOP__LINK_KIND__LINK_KIND_LAN && world->run->lan_dies_after > 0) {
        world->lan_end = ends[0];
        world->lan_dies_at = world->wire.now + world->run->lan_dies_after;
    }
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER, .now = WALL};
    world_must(sh_lane_new(stream_base(ends[0]), &config, &guest_ops, guest, &guest->lane), "lane");
    sh_session_dialled(world->sides[SH_SECONDARY].session, attempt, world->dial.kind,
                       stream_base(ends[1]));
}

static void change_group(struct world *world, bool up)
{
    world->group_at = world->group_goes_at = 0;
    world->group_up = up;
    if (up && world->run->group_goes_after > 0)
        world->group_goes_at = world->wire.now + world->run->group_goes_after;
    if (!up)
        world->group_gone = world->wire.now;
    if (!world->sides[SH_ANCHOR].over)
        sh_session_reoffer(world->sides[SH_ANCHOR].session);
}

/* A group that comes up and goes, a network that goes away for good. */
void world_change_links(struct world *world)
{
    if (world->group_at && world->wire.now >= world->group_at)
        change_group(world, true);
    if (world->group_goes_at && world->wire.now >= world->group_goes_at)
        change_group(world, false);
    world_direct_tick(world);
    world_back_tick(world);
    if (world->lan_dies_at && world->wire.now >= world->lan_dies_at && world->lan_end) {
        world->lan_dies_at = SH_NEVER;
        wire_end(world->lan_end);
        world->lan_end = NULL;
    }
}
