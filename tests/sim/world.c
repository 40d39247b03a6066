/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run: both sessions, the links between them, and time. */
#include <stdlib.h>
#include <string.h>

#include "pairing/air.h"
#include "world_internal.h"

#define TYPING_MS 700
#define SAMPLE_MS 30

const char *const fault_names[FAULT_KINDS] = {"none", "lose", "double", "delay", "cut", "bend"};
const char *const hole_names[HOLE_KINDS] = {"none", "one way", "one stream", "all streams"};

sh_ms world_now(const struct world *world)
{
    return world->wire.now;
}

/* ---- What a session tells ---- */

static sh_ms on_now(void *user)
{
    const struct side *side = user;
    return side->world->wire.now;
}

static void on_wake(void *user)
{
    struct side *side = user;
    side->next_tick = SH_MAX(side->world->wire.now, side->busy_until);
}

static void on_phase(enum sh_phase phase, const char *peer SH_UNUSED, void *user)
{
    struct side *side = user;
    if (side->world->run)
        side->world->run->last_phase = phase;
    side->phase = phase;
    side->alive = side->world->wire.now;
    if (phase == SH_PHASE_TRANSFER && side == &side->world->sides[SH_ANCHOR])
        side->world->transfer_since = side->world->wire.now;
}

static void on_proximity(const struct sh_proximity_estimate *estimate SH_UNUSED,
                         bool final SH_UNUSED, void *user SH_UNUSED)
{
}

static void on_sample(bool on, void *user)
{
    struct side *side = user;
    side->sampling = on;
    side->next_sample = side->world->wire.now + SAMPLE_MS;
}

static void on_show_code(const struct sh_code *code, const char *peer SH_UNUSED, void *user)
{
    struct side *side = user;
    if (!code)
        return;
    side->world->code = *code;
    if (side->world->run)
        side->world->run->codes_shown++;
}

static void on_want_code(unsigned run, const char *peer SH_UNUSED, void *user)
{
    struct side *side = user;
    side->code_run = run;
    if (side->world->run && !side->world->run->never_type)
        side->type_at = side->world->wire.now + TYPING_MS;
}

static size_t on_offers(Simhop__LinkOffer *offers, size_t max SH_UNUSED, void *user)
{
    static uint8_t loopback[4] = {127, 0, 0, 1}, bssid[6] = {2, 0, 0, 0, 0, 1},
                   ssid[] = "DIRECT-ab";
    static char passphrase[] = "a passphrase";
    static ProtobufCBinaryData address = {sizeof(loopback), loopback};
    static Simhop__WifiGroup group;
    const struct side *side = user;
    size_t count = 0;
    simhop__wifi_group__init(&group);
    group.ssid = (ProtobufCBinaryData){9, ssid};
    group.bssid = (ProtobufCBinaryData){sizeof(bssid), bssid};
    group.passphrase = passphrase;
    group.frequency_mhz = 2437;
    if (side->world->run && side->world->run->lan && !side->world->run->lan_has_no_address)
        offers[count++].kind = SIMHOP__LINK_KIND__LINK_KIND_LAN;
    if (side->world->group_up) {
        offers[count].wifi_group = &group;
        offers[count++].kind = SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT;
    }
    for (size_t i = 0; i < count; i++) {
        offers[i].n_addresses = 1;
        offers[i].addresses = &address;
        offers[i].port = 1;
    }
    return count;
}

static void on_want_group(struct sh_bytes seed, void *user)
{
    struct side *side = user;
    struct world *world = side->world;
    if (seed.n != SH_SECRET_SIZE || !world->run)
        abort();
    world->run->groups_wanted++;
    world->run->group_wanted_after = world->wire.now - world->transfer_since;
    world->group_at = world->wire.now + GROUP_START_MS;
}

static void on_dial(const struct sh_attempt *attempt, void *user)
{
    struct side *side = user;
    if (side == &side->world->sides[SH_ANCHOR]) {
        world_call(side->world, attempt);
        return;
    }
    if (side->world->run && side->world->run->lan_ups[SH_SECONDARY] > 0)
        side->world->run->dials_while_up++;
    side->world->dial.attempt = attempt->id;
    side->world->dial.kind = attempt->kind;
    side->world->dial.at = side->world->wire.now + 2;
}

static void on_cancel(unsigned attempt, void *user)
{
    struct side *side = user;
    if (side == &side->world->sides[SH_ANCHOR]) {
        world_call_off(side->world, attempt);
        return;
    }
    side->world->dial.at = 0;
    if (side->world->run && side->world->dial.kind == SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT)
        side->world->run->group_cancelled++;
}

static void note_group(struct side *side, const char *state, enum sh_cause cause)
{
    struct run *run = side->world->run;
    if (strcmp(state, "failed") != 0)
        return;
    run->group_verdict[side - side->world->sides] = cause;
    if (side == &side->world->sides[SH_ANCHOR])
        return;
    run->group_failed++;
    run->group_verdict_after = side->world->wire.now - side->world->group_gone;
}

static void on_link(int kind, const char *state, enum sh_cause cause, void *user)
{
    struct side *side = user;
    struct run *run = side->world->run;
    if (run && kind == SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT)
        note_group(side, state, cause);
    if (!run || kind != SIMHOP__LINK_KIND__LINK_KIND_LAN)
        return;
    run->lan_ups[side - side->world->sides] += strcmp(state, "up") == 0;
    if (strcmp(state, "up") == 0 && side == &side->world->sides[SH_SECONDARY])
        run->lan_up_after = side->world->wire.now - side->world->transfer_since;
    if (strcmp(state, "failed") != 0)
        return;
    if (side == &side->world->sides[SH_ANCHOR]) {
        run->lan_verdict_anchor = cause;
        return;
    }
    run->lan_failed++;
    run->lan_verdict = cause;
    run->lan_verdict_after = side->world->wire.now - side->world->transfer_since;
}

static void on_view(int kind SH_UNUSED, struct sh_session_view *ret_view, void *user)
{
    struct side *side = user;
    struct run *run = side->world->run;
    if (!run)
        return;
    run->views++;
    ret_view->listening = run->view == VIEW_LISTENS;
}

static void on_progress(const struct sh_session_progress *progress, void *user)
{
    struct side *side = user;
    side->alive = side->world->wire.now;
    if (side == &side->world->sides[SH_SECONDARY] && strcmp(progress->item, "item0") == 0 &&
        progress->verified > 0 && progress->verified < progress->total)
        side->in_transfer = true;
}

static void on_done(const struct sh_session_summary *summary, void *user)
{
    struct side *side = user;
    struct run *run = side->world->run;
    side->done = true;
    if (run && side == &side->world->sides[SH_ANCHOR])
        memcpy(run->anchor_link_bytes, summary->link_bytes, sizeof(run->anchor_link_bytes));
    if (!run || side != &side->world->sides[SH_SECONDARY])
        return;
    memcpy(run->link_bytes, summary->link_bytes, sizeof(run->link_bytes));
    run->resumed = summary->resumed;
    run->item_count = summary->item_count;
}

static void on_calibrated(const char *peer SH_UNUSED, const struct sh_calibrated *level, void *user)
{
    struct side *side = user;
    struct run *run = side->world->run;
    enum sh_role role = side == &side->world->sides[SH_ANCHOR] ? SH_ANCHOR : SH_SECONDARY;
    if (!run)
        return;
    run->calibrated[role]++;
    run->kept[role] = *level;
}

static void on_ended(enum sh_cause cause, void *user)
{
    struct side *side = user;
    side->over = true;
    side->cause = cause;
    struct run *run = side->world->run;
    if (!run)
        return;
    size_t role = (size_t)(side - side->world->sides);
    run->phase[role] = side->phase;
    run->silent[role] = side->world->wire.now - SH_MAX(side->alive, side->world->wire.hole_at);
}

const struct sh_session_ops world_session_ops = {
    .now = on_now,
    .wake = on_wake,
    .phase = on_phase,
    .proximity = on_proximity,
    .sample = on_sample,
    .show_code = on_show_code,
    .want_code = on_want_code,
    .offers = on_offers,
    .want_group = on_want_group,
    .view = on_view,
    .dial = on_dial,
    .cancel = on_cancel,
    .listen = world_listen,
    .link = on_link,
    .progress = on_progress,
    .calibrated = on_calibrated,
    .done = on_done,
    .ended = on_ended,
};

/* ---- A run ---- */

/* What the anchor advertised, the louder one first. */
static const struct sh_heard_id sent[] = {{{1}, 0}, {{2}, -20}};

void world_fill_config(struct world *world, enum sh_role role, const struct sh_device *reconnect,
                       struct sh_session_config *config)
{
    struct device *device = role == SH_ANCHOR ? &world->anchor : &world->secondary;
    const struct run *run = world->run;
    *config = (struct sh_session_config){.role = role,
                                         .identity = device->identity,
                                         .registry = device->registry,
                                         .boot_id = "boot",
                                         .name = device->name,
                                         .eid = "",
                                         .wall = WALL,
                                         .level = {sh_air_default.tx1m_dbm, SH_LEVEL_CALIBRATED},
                                         .adapter = "sim",
                                         .items = world->items,
                                         .item_count = world->count,
                                         .draft = world->draft,
                                         .reconnect_to = reconnect,
                                         .dir = world->out,
                                         .incoming_dir = world->incoming,
                                         .bundle_dir = world->bundles};
    if (run)
        config->policy = role == SH_ANCHOR ? run->anchor_policy : run->secondary_policy;
    if (run && run->levels_stated)
        config->level.kind = SH_LEVEL_STATED;
    if (run && role == SH_ANCHOR) {
        config->receipts = run->book;
        config->learns = run->learns;
        config->shares_nothing = run->shares_nothing;
    }
    if (run && role == SH_SECONDARY && run->calibrate) {
        config->purpose = SH_PURPOSE_CALIBRATE;
        config->calibrated = run->found;
    }
    if (run && role == SH_ANCHOR)
        config->level.dbm += run->anchor_level_db;
    if (run && run->stepped) {
        config->stepped = sent;
        config->stepped_count = SH_COUNT(sent);
        config->heard = sent;
        config->heard_count = run->weak_heard ? 2 : 1;
    }
    if (!run || run->lan)
        config->links[config->link_count++] = SIMHOP__LINK_KIND__LINK_KIND_LAN;
    if (run && run->group)
        config->links[config->link_count++] = SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT;
    if (!run || run->ble_carries)
        config->links[config->link_count++] = SIMHOP__LINK_KIND__LINK_KIND_BLE;
}

void world_start_side(struct world *world, enum sh_role role, struct stream *stream)
{
    struct side *side = &world->sides[role];
    struct sh_session_config config;
    struct sh_device known, *reconnect = NULL;
    static struct sh_session_ops mute; /* of an anchor that does not say how it looks from there */
    mute = world_session_ops;
    mute.view = NULL;
    bool is_mute = world->run && world->run->view == NO_VIEW;
    if (role == SH_SECONDARY &&
        sh_registry_get_device(world->secondary.registry, world->anchor.identity->id,
                               SH_DEVICE_IS_ANCHOR, &known) == SH_OK)
        reconnect = &known;
    *side = (struct side){.world = world, .ble = stream, .next_tick = world->wire.now};
    world_fill_config(world, role, reconnect, &config);
    world_must(sh_session_new(&config, is_mute ? &mute : &world_session_ops, side,
                              stream_base(stream), &side->session),
               "session");
}

static void sample(struct world *world, struct side *side)
{
    double metres = world->run && world->run->distance_m > 0 ? world->run->distance_m : 0.25;
    struct sh_position here = {0, 0}, there = {metres, 0};
    uint64_t n = side->samples++ * 2 + (side == &world->sides[SH_SECONDARY]);
    side->next_sample = world->wire.now + SAMPLE_MS;
    if (world->run && world->run->deaf[side - world->sides])
        return;
    int louder = world->run ? world->run->louder_db[side - world->sides] : 0;
    sh_session_rssi(side->session,
                    louder + sh_air_rssi(&sh_air_default, here, there, (unsigned)(n * 7 % 37), n));
}

static void type_code(struct world *world, struct side *side)
{
    struct sh_code code = world->code;
    side->type_at = 0;
    if (side->code_run <= world->run->wrong_codes)
        code.digits[0] = code.digits[0] == '9' ? '0' : (char)(code.digits[0] + 1);
    sh_session_code(side->session, &code);
}

static sh_ms side_next(const struct side *side)
{
    if (!side->session || side->over)
        return SH_NEVER;
    sh_ms next = side->next_tick;
    if (side->sampling)
        next = SH_MIN(next, side->next_sample);
    if (side->type_at)
        next = SH_MIN(next, side->type_at);
    return next;
}

static void side_step(struct world *world, struct side *side)
{
    sh_ms now = world->wire.now;
    if (!side->session || side->over)
        return;
    if (side->sampling && now >= side->next_sample)
        sample(world, side);
    if (side->type_at && now >= side->type_at && !side->over)
        type_code(world, side);
    if (now < side->next_tick || side->over)
        return;
    sh_ms next = sh_session_tick(side->session);
    if (world->run && next == now && side == &world->sides[SH_ANCHOR])
        side->busy_until = now + world->run->anchor_step_ms;
    side->next_tick = SH_MAX(next, SH_MAX(now + 1, side->busy_until));
}

bool world_step(struct world *world, sh_ms limit)
{
    sh_ms next = wire_next(&world->wire);
    next = SH_MIN(next, side_next(&world->sides[0]));
    next = SH_MIN(next, side_next(&world->sides[1]));
    next = SH_MIN(next, world_back_next(world));
    const sh_ms times[] = {world->dial.at,     world->group_at,         world->group_goes_at,
                           world->lan_dies_at, world->direct_breaks_at, world->callers_until};
    for (size_t i = 0; i < SH_COUNT(times); i++) {
        if (times[i])
            next = SH_MIN(next, times[i]);
    }
    if (next > limit) {
        world->wire.now = limit;
        return false;
    }
    world->wire.now = SH_MAX(world->wire.now, next);
    wire_deliver(&world->wire);
    if (world->dial.at && world->wire.now >= world->dial.at)
        world_connect_link(world);
    world_change_links(world);
    side_step(world, &world->sides[0]);
    side_step(world, &world->sides[1]);
    return true;
}

void world_clear_run(struct world *world)
{
    for (int role = 0; role < 2; role++) {
        sh_session_free(world->sides[role].session);
        world->sides[role] = (struct side){0};
    }
    for (unsigned i = 0; i < world->guest_count; i++)
        sh_lane_free(world->guests[i].lane);
    for (int role = 0; role < 2; role++) {
        sh_lane_free(world->callers[role].lane);
        world->callers[role] = (struct guest){0};
    }
    world_back_clear(world);
    world->direct_end = NULL;
    world->direct_breaks_at = world->callers_until = 0;
    world->guest_count = 0;
    world->dial.at = 0;
    world->transfer_since = world->group_at = world->group_goes_at = world->lan_dies_at = 0;
    world->group_up = false;
    world->lan_end = NULL;
    wire_clear(&world->wire);
    world->run = NULL;
}

/* Time passes; for who is awake it was a silence. What is on its way arrives then. */
static void fall_asleep(struct world *world)
{
    const struct run *run = world->run;
    world->wire.now += run->sleeps_for;
    for (size_t i = 0; i < SH_COUNT(world->sides); i++) {
        struct side *side = &world->sides[i];
        if (side->over)
            continue;
        if (run->sleeps[i])
            sh_session_slept(side->session, run->sleeps_for);
        side_step(world, side);
    }
}

static void run_to_end(struct world *world, const struct run *run, sh_ms until)
{
    struct side *anchor = &world->sides[SH_ANCHOR], *secondary = &world->sides[SH_SECONDARY];
    bool slept = run->sleeps_for == 0;
    while (!(anchor->over && secondary->over) && world_step(world, until)) {
        if (run->stop_in_transfer && secondary->in_transfer && !secondary->over)
            sh_session_stop(secondary->session, SH_SESSION_INTERRUPTED);
        if (!slept && secondary->in_transfer && !secondary->over) {
            slept = true;
            fall_asleep(world);
        }
        if (run->meddle)
            run->meddle(world);
    }
}

void world_run(struct world *world, struct run *run, sh_ms limit)
{
    struct stream *ends[2];
    sh_ms start = world->wire.now;
    world->run = run;
    wire_set_fault(&world->wire, run->fault, run->fault_step, run->seed);
    wire_set_hole(&world->wire, run->hole, run->hole_step);
    if (run->direct) {
        world_start_direct(world);
    } else {
        wire_pair(&world->wire, run->ble_latency ? run->ble_latency : 20, ends);
        world_start_side(world, SH_ANCHOR, ends[0]);
        world_start_side(world, SH_SECONDARY, ends[1]);
    }
    run_to_end(world, run, start + limit);
    struct side *anchor = &world->sides[SH_ANCHOR], *secondary = &world->sides[SH_SECONDARY];
    run->ended_after = world->wire.now - start;
    run->anchor_over = anchor->over;
    run->secondary_over = secondary->over;
    run->anchor_cause = anchor->cause;
    run->secondary_cause = secondary->cause;
    run->anchor_done = anchor->done;
    run->secondary_done = secondary->done;
    run->steps = world->wire.steps;
    run->holed = world->wire.hole_at != 0;
    for (size_t i = 0; i < SH_COUNT(world->sides); i++) {
        const struct sh_session *session = world->sides[i].session;
        const struct sh_nearness *nearness = session ? sh_session_nearness(session) : NULL;
        if (nearness)
            run->nearness[i] = *nearness;
    }
    world_clear_run(world);
}
