/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many secondaries at one anchor: links COUNT of them (identities, certificates and rows of the registry as enrolment makes them),
 * starts the anchor, lets all come directly over the LAN in one moment, and each pulls the first item for so long. Prints a line of JSON.
 *
 *   bench_many STATE COUNT SECONDS ADDRESS COMMAND...
 *     STATE    the anchor's state folder; ADDRESS is where it listens, COMMAND is `simhop share --json ...` or leads to it
 *
 * All secondaries are in this process: real links, lanes and channels with a certificate each, and every leaf is hashed and compared. What is
 * verified is dropped: no disk takes part (each has the context of its channel ready, as so many machines would not have to share one
 * processor for it), and no roots and receipts are exchanged. Who is through with the item begins again.
 * The clock of the first verified leaf starts when all dial; that of the throughput when each has one (or a limit is over).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/lan_port.h"
#include "cli/lane.h"
#include "crypto/cert.h"
#include "pairing/handshake.h"
#include "pairing/registry.h"
#include "system/clock.h"
#include "transfer/leaf.h"
#include "transfer/link.h"

#define COUNT_MAX   2000
#define WINDOW      48 /* leaves asked for and not here, as sync does over a LAN */
#define PULL        8
#define PROGRESS_MS 200
#define START_S     20
#define FIRST_S     30

struct secondary {
    struct many *many;
    struct sh_identity *identity;
    X509 *token;
    struct sh_channel_config config;
    struct sh_lane *lane;
    enum sh_cause cause; /* why it is over */
    bool over;
    uint8_t transcript[32];
    uint64_t size, leaves, next, asked, got; /* in leaves, but for the size */
    uint64_t octets, octets_before;          /* verified; when the measuring began */
    double first_s;                          /* 0: not yet */
    sh_ms told;
};

struct many {
    const char *state, *address;
    unsigned count, first, ended;
    double seconds, dialled, began, finished;
    struct sh_identity *anchor;
    struct secondary *secondaries;
    struct event_base *base;
    struct sh_link *lan;
    struct event *tick;
    pid_t pid;
    uint64_t rss_before, rss_first, rss_end;     /* KiB */
    double cpu_dialled, cpu_began, cpu_finished; /* of the anchor, seconds */
    double own_dialled, own_began, own_finished; /* ours */
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, enum sh_cause cause)
{
    fprintf(stderr, "bench_many: %s: %s %s\n", what, sh_cause_info(cause)->name, sh_detail());
    exit(1);
}

/* ---- The anchor ---- */

static uint64_t rss_kib(pid_t pid)
{
    char path[64], line[128];
    uint64_t kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    }
    if (file)
        fclose(file);
    return kib;
}

static double cpu_seconds(pid_t pid)
{
    char path[64], text[1024];
    uint64_t user = 0, kernel = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    char *at = strrchr(text, ')'); /* the end of field 2, proc_pid_stat(5) */
    for (int field = 2; field < 14 && at; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return 0;
    user = strtoull(at, &at, 10); /* 14 and 15 */
    kernel = strtoull(at, NULL, 10);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static bool says_discover(const char *path)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof(line), file))
        found = strstr(line, "\"discover\"") != NULL;
    if (file)
        fclose(file);
    return found;
}

static void start_anchor(struct many *many, char **command)
{
    char out[4096];
    const struct timespec pause = {.tv_nsec = 20000000};
    double until = seconds() + START_S;
    snprintf(out, sizeof(out), "%s/anchor.out", many->state);
    (void)unlink(out);
    many->pid = fork();
    if (many->pid == 0) {
        int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
            _exit(127);
        execvp(command[0], command);
        _exit(127);
    }
    while (!says_discover(out)) {
        if (waitpid(many->pid, NULL, WNOHANG) != 0 || seconds() > until) {
            fprintf(stderr, "bench_many: the anchor does not start\n");
            exit(1);
        }
        nanosleep(&pause, NULL);
    }
}

static void stop_anchor(const struct many *many)
{
    kill(many->pid, SIGTERM);
    waitpid(many->pid, NULL, 0);
}

/* ---- Linking them ---- */

static enum sh_cause fill_device(const struct secondary *secondary, const struct sh_issued *issued,
                                 unsigned number, int64_t now, struct sh_device *device)
{
    sh_autofree uint8_t *key = NULL;
    *device = (struct sh_device){.relation = SH_DEVICE_IS_SECONDARY,
                                 .state = SH_DEVICE_AUTHORISED,
                                 .kind = SIMHOP__DEVICE_KIND__DEVICE_KIND_TABLET,
                                 .linked_at = now,
                                 .last_seen = now,
                                 .not_after = issued->not_after,
                                 .metres = NAN,
                                 .score_db = NAN,
                                 .spread_db = NAN,
                                 .rate_hz = NAN};
    snprintf(device->name, sizeof(device->name), "secondary-%u", number);
    memcpy(device->id, issued->device_id, sizeof(device->id));
    memcpy(device->serial, issued->serial, sizeof(device->serial));
    SH_TRY(sh_public_key_der(secondary->identity->key, &key, &device->public_key_len));
    if (device->public_key_len > sizeof(device->public_key))
        return SH_INTERNAL_BUG;
    memcpy(device->public_key, key, device->public_key_len);
    return SH_OK;
}

static enum sh_cause link_one(struct many *many, struct sh_registry *registry, unsigned number)
{
    struct secondary *secondary = &many->secondaries[number];
    SH_CLEANUP(sh_issued_clear) struct sh_issued issued = {0};
    sh_autofree uint8_t *csr = NULL;
    struct sh_device device;
    size_t n = 0;
    int64_t now = (int64_t)time(NULL);
    secondary->many = many;
    SH_TRY(sh_identity_new(now, &secondary->identity));
    SH_TRY(sh_csr_new(secondary->identity->key, &csr, &n));
    SH_TRY(
        sh_cert_issue(many->anchor->ca_key, many->anchor->ca_cert, SH_BYTES(csr, n), now, &issued));
    SH_TRY(fill_device(secondary, &issued, number, now, &device));
    SH_TRY(sh_registry_put_device(registry, &device));
    X509_up_ref(issued.cert);
    secondary->token = issued.cert;
    secondary->config = (struct sh_channel_config){.role = SH_CHANNEL_CLIENT,
                                                   .key = secondary->identity->key,
                                                   .cert = secondary->token,
                                                   .ca = many->anchor->ca_cert,
                                                   .direct = true,
                                                   .now = now};
    return sh_channel_context_new(&secondary->config, false, &secondary->config.context);
}

static enum sh_cause link_all(struct many *many)
{
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    SH_TRY(sh_registry_open(many->state, &registry));
    SH_TRY(sh_identity_load(many->state, &many->anchor));
    SH_TRY(sh_identity_load_ca(many->anchor, many->state, (int64_t)time(NULL)));
    for (unsigned i = 0; i < many->count; i++)
        SH_TRY(link_one(many, registry, i));
    return SH_OK;
}

/* ---- A secondary ---- */

static void is_over(struct secondary *secondary, enum sh_cause cause)
{
    if (secondary->over)
        return;
    secondary->over = true;
    secondary->cause = cause;
    secondary->many->ended++;
}

static enum sh_cause ask(struct secondary *secondary)
{
    Simhop__Pull pull = SIMHOP__PULL__INIT;
    while (secondary->asked - secondary->got + PULL <= WINDOW) {
        uint64_t left = secondary->leaves - secondary->next;
        pull.first = secondary->next;
        pull.count = (uint32_t)SH_MIN(left, (uint64_t)PULL);
        secondary->asked += pull.count;
        secondary->next = (secondary->next + pull.count) % secondary->leaves;
        SH_TRY(sh_lane_send(secondary->lane, SH_MSG_PULL, &pull.base));
    }
    return SH_OK;
}

static enum sh_cause on_manifest(struct secondary *secondary, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_MANIFEST, payload, &message));
    const Simhop__Manifest *manifest = (const Simhop__Manifest *)message;
    if (manifest->n_items != 1 || manifest->items[0]->size == 0)
        return SH_PROTO_MALFORMED;
    secondary->size = manifest->items[0]->size;
    secondary->leaves = sh_leaf_count(secondary->size);
    return ask(secondary);
}

static enum sh_cause tell_progress(struct secondary *secondary)
{
    Simhop__Progress progress = SIMHOP__PROGRESS__INIT;
    sh_ms now = sh_now();
    if (now < secondary->told + PROGRESS_MS)
        return SH_OK;
    secondary->told = now;
    progress.total = secondary->size;
    progress.verified = SH_MIN(secondary->octets, secondary->size);
    return sh_lane_send(secondary->lane, SH_MSG_PROGRESS, &progress.base);
}

static enum sh_cause on_leaf(struct secondary *secondary, struct sh_bytes payload)
{
    struct sh_leaf leaf = {.item = 0};
    uint8_t hash[SH_HASH_SIZE];
    SH_TRY(sh_leaf_read(payload, &leaf));
    SH_TRY(sh_leaf_hash(leaf.data, hash));
    if (memcmp(hash, leaf.hash, sizeof(hash)) != 0 ||
        leaf.data.n != sh_leaf_length(secondary->size, leaf.index))
        return SH_TRANSFER_LEAF_MISMATCH;
    secondary->got++;
    secondary->octets += leaf.data.n;
    if (secondary->first_s <= 0) {
        secondary->first_s = seconds() - secondary->many->dialled;
        secondary->many->first++;
    }
    SH_TRY(tell_progress(secondary));
    return ask(secondary);
}

static enum sh_cause lane_up(struct sh_lane *lane, void *user)
{
    struct secondary *secondary = user;
    Simhop__EnrolRequest request = SIMHOP__ENROL_REQUEST__INIT;
    secondary->lane = lane;
    SH_TRY(sh_channel_export_direct(sh_lane_channel(lane), secondary->transcript));
    request.transcript =
        (ProtobufCBinaryData){sizeof(secondary->transcript), secondary->transcript};
    return sh_lane_send(lane, SH_MSG_ENROL_REQUEST, &request.base);
}

static enum sh_cause lane_msg(struct sh_lane *lane, unsigned type, struct sh_bytes payload,
                              void *user)
{
    struct secondary *secondary = user;
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    Simhop__ManifestRequest request = SIMHOP__MANIFEST_REQUEST__INIT;
    if (type == SH_MSG_LEAF)
        return on_leaf(secondary, payload);
    if (type == SH_MSG_MANIFEST)
        return on_manifest(secondary, payload);
    if (type == SH_MSG_LINK_OFFERS) /* begins the transfer; we are on that link already */
        return sh_lane_send(lane, SH_MSG_MANIFEST_REQUEST, &request.base);
    if (type != SH_MSG_ABORT)
        return SH_OK;
    SH_TRY(sh_msg_unpack(type, payload, &message));
    return sh_cause_from_peer(((const Simhop__Abort *)message)->cause);
}

static void lane_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void lane_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause, void *user)
{
    is_over(user, cause);
}

static void lane_after(void *user)
{
    struct secondary *secondary = user;
    if (!secondary->over)
        return;
    sh_lane_free(secondary->lane);
    secondary->lane = NULL;
}

static const struct sh_lane_ops lane_ops = {.up = lane_up,
                                            .msg = lane_msg,
                                            .writable = lane_writable,
                                            .down = lane_down,
                                            .after = lane_after};

static void on_dialled(struct sh_link *link SH_UNUSED, unsigned attempt, struct sh_stream *stream,
                       void *user)
{
    struct many *many = user;
    struct secondary *secondary = &many->secondaries[attempt - 1];
    enum sh_cause cause =
        sh_lane_new(stream, &secondary->config, &lane_ops, secondary, &secondary->lane);
    if (cause != SH_OK)
        is_over(secondary, cause);
}

static void on_dial_failed(struct sh_link *link SH_UNUSED, unsigned attempt, enum sh_cause cause,
                           const struct sh_path_facts *facts SH_UNUSED, void *user)
{
    is_over(&((struct many *)user)->secondaries[attempt - 1], cause);
}

static const struct sh_link_ops link_ops = {.dialled = on_dialled, .dial_failed = on_dial_failed};

/* ---- The measuring ---- */

static void begin(struct many *many)
{
    many->rss_first = rss_kib(many->pid);
    many->cpu_began = cpu_seconds(many->pid);
    many->own_began = cpu_seconds(getpid());
    many->began = seconds();
    for (unsigned i = 0; i < many->count; i++)
        many->secondaries[i].octets_before = many->secondaries[i].octets;
}

static void on_tick(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct many *many = user;
    double now = seconds();
    bool all = many->first + many->ended >= many->count;
    if (many->began <= 0 && (all || now > many->dialled + FIRST_S))
        begin(many);
    if (many->began <= 0 || now < many->began + many->seconds)
        return;
    many->finished = now;
    many->cpu_finished = cpu_seconds(many->pid);
    many->own_finished = cpu_seconds(getpid());
    many->rss_end = rss_kib(many->pid);
    event_base_loopbreak(many->base);
}

static enum sh_cause dial_all(struct many *many)
{
    struct sh_attempt attempt = {.kind = SIMHOP__LINK_KIND__LINK_KIND_LAN,
                                 .address_len = 4,
                                 .port = sh_lan_port_read(many->state)};
    if (inet_pton(AF_INET, many->address, attempt.address) != 1 || attempt.port == 0)
        return sh_fail(SH_LINK_NONE, "%s, port %u", many->address, attempt.port);
    many->rss_before = rss_kib(many->pid);
    many->cpu_dialled = cpu_seconds(many->pid);
    many->own_dialled = cpu_seconds(getpid());
    many->dialled = seconds();
    for (unsigned i = 0; i < many->count; i++) {
        attempt.id = i + 1;
        SH_TRY(many->lan->driver->dial(many->lan, &attempt));
    }
    return SH_OK;
}

static enum sh_cause run(struct many *many)
{
    const struct timeval period = {.tv_usec = 20000};
    many->base = event_base_new();
    if (!many->base)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_link_lan_new(many->base, NULL, NULL, NULL, &link_ops, many, &many->lan));
    many->tick = event_new(many->base, -1, EV_PERSIST, on_tick, many);
    if (!many->tick || event_add(many->tick, &period) < 0)
        return SH_ENV_NO_MEMORY;
    SH_TRY(dial_all(many));
    /* waits: the loop; its tick ends it */
    return event_base_dispatch(many->base) < 0 ? SH_INTERNAL_BUG : SH_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The index of Jain, Chiu and Hawe: 1 if all got the same, 1/n if one got all. */
static void tell_shares(const struct many *many, double spent)
{
    double sum = 0, squares = 0, least = INFINITY, most = 0;
    for (unsigned i = 0; i < many->count; i++) {
        const struct secondary *secondary = &many->secondaries[i];
        double got = (double)(secondary->octets - secondary->octets_before);
        sum += got;
        squares += got * got;
        least = fmin(least, got);
        most = fmax(most, got);
    }
    double jain = squares > 0 ? sum * sum / (many->count * squares) : 0;
    printf(
        "\"octets\":%.0f,\"mib_s\":%.3f,\"jain\":%.4f,\"least_octets\":%.0f,\"most_octets\":%.0f,",
        sum, sum / spent / 1048576, jain, least, most);
}

static void tell_first(const struct many *many)
{
    double *first = calloc(many->count, sizeof(*first));
    unsigned n = 0;
    for (unsigned i = 0; first && i < many->count; i++) {
        if (many->secondaries[i].first_s > 0)
            first[n++] = many->secondaries[i].first_s;
    }
    if (n > 0) {
        qsort(first, n, sizeof(*first), by_size);
        printf("\"first_p50_s\":%.4f,\"first_p99_s\":%.4f,\"first_max_s\":%.4f,", first[n / 2],
               first[(n * 99 + 99) / 100 - 1], first[n - 1]);
    }
    printf("\"served\":%u,", n);
    free(first);
}

static void tell(const struct many *many)
{
    double spent = many->finished - many->began;
    const char *why = "";
    for (unsigned i = 0; i < many->count && !why[0]; i++) {
        if (many->secondaries[i].over)
            why = sh_cause_info(many->secondaries[i].cause)->name;
    }
    printf("{\"count\":%u,\"seconds\":%.3f,", many->count, spent);
    tell_shares(many, spent);
    tell_first(many);
    printf("\"lost\":%u,\"lost_cause\":\"%s\",", many->ended, why);
    printf("\"start_anchor_cpu_s\":%.2f,\"start_cpu_s\":%.2f,", many->cpu_began - many->cpu_dialled,
           many->own_began - many->own_dialled);
    printf("\"anchor_cpu_s\":%.2f,\"cpu_s\":%.2f,", many->cpu_finished - many->cpu_began,
           many->own_finished - many->own_began);
    printf("\"rss_idle_kib\":%" PRIu64 ",\"rss_first_kib\":%" PRIu64 ",\"rss_kib\":%" PRIu64 "}\n",
           many->rss_before, many->rss_first, many->rss_end);
}

static void clear(struct many *many)
{
    for (unsigned i = 0; i < many->count; i++) {
        struct secondary *secondary = &many->secondaries[i];
        sh_lane_free(secondary->lane);
        sh_channel_context_free(secondary->config.context);
        sh_identity_free(secondary->identity);
        X509_free(secondary->token);
    }
    many->lan->driver->free(many->lan);
    event_free(many->tick);
    event_base_free(many->base);
    sh_identity_free(many->anchor);
    free(many->secondaries);
}

int main(int argc, char **argv)
{
    struct many many = {0};
    long count = argc > 5 ? strtol(argv[2], NULL, 10) : 0;
    if (count < 1 || count > COUNT_MAX) {
        fprintf(stderr, "usage: bench_many STATE COUNT SECONDS ADDRESS COMMAND...\n");
        return 2;
    }
    many.state = argv[1];
    many.count = (unsigned)count;
    many.seconds = strtod(argv[3], NULL);
    many.address = argv[4];
    many.secondaries = calloc(many.count, sizeof(*many.secondaries));
    enum sh_cause cause = many.secondaries ? link_all(&many) : SH_ENV_NO_MEMORY;
    if (cause != SH_OK)
        die("linking", cause);
    start_anchor(&many, argv + 5);
    cause = run(&many);
    if (cause != SH_OK)
        die("running", cause);
    tell(&many);
    stop_anchor(&many);
    clear(&many);
    return 0;
}
