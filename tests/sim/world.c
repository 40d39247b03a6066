/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pairing/air.h"
#include "profile/bundle_json.h"
#include "world_internal.h"

#define WALL      1800000000
#define TYPING_MS 700
#define SAMPLE_MS 30
#define NAME_MAX_ 32

const char *const fault_names[FAULT_KINDS] = {"none", "lose", "double", "delay", "cut", "bend"};

static void must(enum sh_cause cause, const char *what)
{
    if (cause == SH_OK)
        return;
    fprintf(stderr, "world: %s: %s: %s\n", what, sh_cause_info(cause)->name, sh_detail());
    abort();
}

struct device *world_anchor(struct world *world)
{
    return &world->anchor;
}

struct device *world_secondary(struct world *world)
{
    return &world->secondary;
}

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
    side->next_tick = side->world->wire.now;
}

static void on_phase(enum sh_phase phase, const char *peer SH_UNUSED, void *user)
{
    struct side *side = user;
    if (side->world->run)
        side->world->run->last_phase = phase;
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
    if (side->world->run && side->world->run->lan)
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
    side->world->dial.attempt = attempt->id;
    side->world->dial.kind = attempt->kind;
    side->world->dial.at = side->world->wire.now + 2;
}

static void on_cancel(unsigned attempt SH_UNUSED, void *user)
{
    struct side *side = user;
    side->world->dial.at = 0;
}

static void on_link(int kind SH_UNUSED, const char *state SH_UNUSED, enum sh_cause cause SH_UNUSED,
                    void *user SH_UNUSED)
{
}

static void on_progress(const struct sh_session_progress *progress, void *user)
{
    struct side *side = user;
    if (side == &side->world->sides[SH_SECONDARY] && strcmp(progress->item, "item0") == 0 &&
        progress->verified > 0 && progress->verified < progress->total)
        side->in_transfer = true;
}

static void on_done(const struct sh_session_summary *summary, void *user)
{
    struct side *side = user;
    struct run *run = side->world->run;
    side->done = true;
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
}

static const struct sh_session_ops session_ops = {
    .now = on_now,
    .wake = on_wake,
    .phase = on_phase,
    .proximity = on_proximity,
    .sample = on_sample,
    .show_code = on_show_code,
    .want_code = on_want_code,
    .offers = on_offers,
    .want_group = on_want_group,
    .dial = on_dial,
    .cancel = on_cancel,
    .link = on_link,
    .progress = on_progress,
    .calibrated = on_calibrated,
    .done = on_done,
    .ended = on_ended,
};

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

static void connect_link(struct world *world)
{
    unsigned attempt = world->dial.attempt;
    world->dial.at = 0;
    if (world->lan_dies_at == SH_NEVER && world->dial.kind == SIMHOP__LINK_KIND__LINK_KIND_LAN) {
        sh_session_dial_failed(world->sides[SH_SECONDARY].session, attempt, SH_LINK_UNREACHABLE);
        return;
    }
    if (world->guest_count == GUESTS_MAX || world->sides[SH_ANCHOR].over) {
        sh_session_dial_failed(world->sides[SH_SECONDARY].session, attempt, SH_LINK_REFUSED);
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
    must(sh_lane_new(stream_base(ends[0]), &config, &guest_ops, guest, &guest->lane), "lane");
    sh_session_dialled(world->sides[SH_SECONDARY].session, attempt, world->dial.kind,
                       stream_base(ends[1]));
}

/* ---- A run ---- */

/* What the anchor advertised, the louder one first. */
static const struct sh_heard_id sent[] = {{{1}, 0}, {{2}, -20}};

static void fill_config(struct world *world, enum sh_role role, const struct sh_device *reconnect,
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
    if (role == SH_SECONDARY &&
        sh_registry_get_device(world->secondary.registry, world->anchor.identity->id,
                               SH_DEVICE_IS_ANCHOR, &known) == SH_OK)
        reconnect = &known;
    *side = (struct side){.world = world, .ble = stream, .next_tick = world->wire.now};
    fill_config(world, role, reconnect, &config);
    must(sh_session_new(&config, &session_ops, side, stream_base(stream), &side->session),
         "session");
}

static void sample(struct world *world, struct side *side)
{
    double metres = world->run && world->run->distance_m > 0 ? world->run->distance_m : 0.25;
    struct sh_position here = {0, 0}, there = {metres, 0};
    uint64_t n = side->samples++ * 2 + (side == &world->sides[SH_SECONDARY]);
    side->next_sample = world->wire.now + SAMPLE_MS;
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
    if (now >= side->next_tick && !side->over)
        side->next_tick = SH_MAX(sh_session_tick(side->session), now + 1);
}

/* A group that comes up, a network that goes away for good. */
static void change_links(struct world *world)
{
    if (world->group_at && world->wire.now >= world->group_at) {
        world->group_at = 0;
        world->group_up = true;
        if (!world->sides[SH_ANCHOR].over)
            sh_session_reoffer(world->sides[SH_ANCHOR].session);
    }
    if (world->lan_dies_at && world->wire.now >= world->lan_dies_at && world->lan_end) {
        world->lan_dies_at = SH_NEVER;
        wire_end(world->lan_end);
        world->lan_end = NULL;
    }
}

bool world_step(struct world *world, sh_ms limit)
{
    sh_ms next = wire_next(&world->wire);
    next = SH_MIN(next, side_next(&world->sides[0]));
    next = SH_MIN(next, side_next(&world->sides[1]));
    const sh_ms times[] = {world->dial.at, world->group_at, world->lan_dies_at};
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
        connect_link(world);
    change_links(world);
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
    world->guest_count = 0;
    world->dial.at = 0;
    world->transfer_since = world->group_at = world->lan_dies_at = 0;
    world->group_up = false;
    world->lan_end = NULL;
    wire_clear(&world->wire);
    world->run = NULL;
}

static void run_to_end(struct world *world, const struct run *run, sh_ms until)
{
    struct side *anchor = &world->sides[SH_ANCHOR], *secondary = &world->sides[SH_SECONDARY];
    while (!(anchor->over && secondary->over) && world_step(world, until)) {
        if (run->stop_in_transfer && secondary->in_transfer && !secondary->over)
            sh_session_stop(secondary->session, SH_SESSION_INTERRUPTED);
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
    wire_pair(&world->wire, run->ble_latency ? run->ble_latency : 20, ends);
    world_start_side(world, SH_ANCHOR, ends[0]);
    world_start_side(world, SH_SECONDARY, ends[1]);
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
    for (size_t i = 0; i < SH_COUNT(world->sides); i++) {
        const struct sh_nearness *nearness = sh_session_nearness(world->sides[i].session);
        if (nearness)
            run->nearness[i] = *nearness;
    }
    world_clear_run(world);
}

/* ---- Making and comparing ---- */

static void make_dirs(struct world *world)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(world->dir, sizeof(world->dir), "%s/simhop-world-XXXXXX", base);
    if (!mkdtemp(world->dir))
        abort();
    snprintf(world->out, sizeof(world->out), "%s/out", world->dir);
    snprintf(world->incoming, sizeof(world->incoming), "%s/incoming", world->dir);
    snprintf(world->bundles, sizeof(world->bundles), "%s/bundles", world->dir);
}

static void make_items(struct world *world, const uint64_t *sizes, size_t count)
{
    uint64_t x = 88172645463325252ULL;
    for (size_t i = 0; i < count; i++) {
        char name[NAME_MAX_];
        snprintf(name, sizeof(name), "item%zu", i);
        world->bytes[i] = malloc(sizes[i] + 1);
        world->sizes[i] = sizes[i];
        for (uint64_t at = 0; at < sizes[i]; at++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            world->bytes[i][at] = (uint8_t)x;
        }
        must(sh_item_open_memory(name, SIMHOP__ITEM_KIND__ITEM_KIND_FILE,
                                 SH_BYTES(world->bytes[i], sizes[i]), world->anchor.identity->id,
                                 &world->items[i]),
             "item");
    }
    world->count = count;
}

static void make_draft(struct world *world)
{
    static char json[65536];
    FILE *file = fopen(TEST_DATA "/bundle.json", "r");
    if (!file)
        abort();
    size_t n = fread(json, 1, sizeof(json), file);
    fclose(file);
    Simhop__Bundle *bundle = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    must(sh_bundle_from_json(SH_BYTES(json, n), NULL, &bundle), "bundle");
    must(sh_bundle_seal(bundle, world->anchor.identity, &bytes, &len), "seal");
    must(sh_bundle_open(SH_BYTES(bytes, len), (struct sh_bytes){0}, &world->draft), "open");
    free(bytes);
    simhop__bundle__free_unpacked(bundle, NULL);
}

struct world *world_new(const uint64_t *sizes, size_t count, bool bundle)
{
    struct world *world = calloc(1, sizeof(*world));
    if (!world)
        abort();
    wire_init(&world->wire);
    make_dirs(world);
    must(sh_identity_new(WALL, &world->anchor.identity), "identity");
    must(sh_identity_new(WALL, &world->secondary.identity), "identity");
    strcpy(world->anchor.name, "phone");
    strcpy(world->secondary.name, "tablet");
    make_items(world, sizes, count);
    if (bundle)
        make_draft(world);
    world_reset(world);
    return world;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char inner[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        if (unlink(inner) != 0)
            remove_tree(inner);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

void world_reset(struct world *world)
{
    sh_registry_close(world->anchor.registry);
    sh_registry_close(world->secondary.registry);
    world->anchor.registry = world->secondary.registry = NULL;
    must(sh_registry_open(NULL, &world->anchor.registry), "registry");
    must(sh_registry_open(NULL, &world->secondary.registry), "registry");
    remove_tree(world->out);
    remove_tree(world->incoming);
    remove_tree(world->bundles);
}

void world_free(struct world *world)
{
    sh_registry_close(world->anchor.registry);
    sh_registry_close(world->secondary.registry);
    for (size_t i = 0; i < world->count; i++) {
        sh_item_free(world->items[i]);
        free(world->bytes[i]);
    }
    sh_bundle_free(world->draft);
    sh_identity_free(world->anchor.identity);
    sh_identity_free(world->secondary.identity);
    remove_tree(world->dir);
    wire_free(&world->wire);
    free(world);
}

enum look { MISSING, SAME, DIFFERENT };

static enum look look_at(const struct world *world, size_t i)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%s/item%zu", world->out, i);
    if (stat(path, &st) != 0)
        return MISSING;
    if ((uint64_t)st.st_size != world->sizes[i])
        return DIFFERENT;
    uint8_t *bytes = malloc(world->sizes[i] + 1);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(bytes, 1, world->sizes[i] + 1, file) : 0;
    bool same = n == world->sizes[i] && memcmp(bytes, world->bytes[i], n) == 0;
    if (file)
        fclose(file);
    free(bytes);
    return same ? SAME : DIFFERENT;
}

bool world_files_equal(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        if (look_at(world, i) != SAME)
            return false;
    }
    return true;
}

bool world_half_files(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        if (look_at(world, i) == DIFFERENT)
            return true;
    }
    return false;
}
