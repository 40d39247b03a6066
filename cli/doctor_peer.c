/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether linked devices can be reached over a network: what the registry knows of them, and what the probe finds. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/doctor.h"
#include "cli/probe.h"
#include "cli/safe.h"
#include "crypto/identity.h"
#include "pairing/registry.h"
#include "system/clock.h"
#include "transfer/link.h"

#define LEAVE_MS 200 /* for the last goodbyes */

struct peers {
    const struct sh_doctor *doctor;
    sh_doctor_say say;
    void *user;
    struct sh_registry *registry;
    struct sh_identity *identity;
    struct sh_device *devices;
    size_t device_count;
    struct sh_probe_target targets[SH_PROBE_DEVICES];
    size_t target_count;
    struct sh_probe_result results[SH_PROBE_DEVICES * SH_ADDRESSES_MAX];
    size_t result_count;
    struct event_base *base;
    struct event *timer;
    struct sh_link *lan;
    struct sh_probe *probe;
};

/* ---- What is said ---- */

struct when {
    char text[32];
};

static struct when when(int64_t seconds)
{
    struct when w = {"never"};
    time_t time = (time_t)seconds;
    struct tm tm;
    if (seconds > 0 && localtime_r(&time, &tm))
        strftime(w.text, sizeof(w.text), "%Y-%m-%d %H:%M", &tm);
    return w;
}

static void say_device(struct peers *peers, const struct sh_device *device,
                       enum sh_finding_level level, enum sh_cause cause, const char *what)
{
    const struct sh_peer_facts facts = {.name = device->name,
                                        .token_until = device->not_after,
                                        .last_seen = device->last_seen,
                                        .rtt = -1};
    struct sh_finding f = {.level = level, .cause = cause, .peer = &facts};
    char name[sizeof(device->name)];
    (void)sh_safe_copy(name, sizeof(name), device->name, UINT32_MAX);
    snprintf(f.text, sizeof(f.text), "%s: %s; token until %s, last seen %s", name, what,
             when(device->not_after).text, when(device->last_seen).text);
    peers->say("peer", &f, peers->user);
}

static void say_failed(struct peers *peers, enum sh_cause cause)
{
    struct sh_finding f = sh_doctor_failed(SH_PROBLEM, cause, NULL);
    peers->say("peer", &f, peers->user);
}

/* It is there and can be reached, and takes nobody like us now. */
static bool is_refusal(enum sh_cause cause)
{
    return cause == SH_NEAR_DEMANDED || cause == SH_REFUSED_BUSY || cause == SH_CALIBRATE_ONLY;
}

static bool reaches(const struct sh_probe_result *result)
{
    return result->answers && (result->cause == SH_OK || is_refusal(result->cause));
}

static void fill_text(const struct sh_probe_result *result, const char *address, char *out,
                      size_t size)
{
    const char *why = result->detail[0] && !result->answers ? result->detail
                                                            : sh_cause_info(result->cause)->message;
    if (result->cause == SH_OK)
        snprintf(out, size,
                 "%s port %u: it is that device, by its certificate; answers in %s%llu ms, also "
                 "with full segments",
                 address, result->port, result->rtt == 0 ? "less than " : "",
                 (unsigned long long)SH_MAX(result->rtt, (sh_ms)1));
    else if (result->small_passes)
        snprintf(out, size, "%s port %u: answers to segments of %d octets, not to full ones",
                 address, result->port, SH_PROBE_SEGMENT);
    else if (reaches(result))
        snprintf(out, size, "%s port %u: it is that device, by its certificate; it says: %s",
                 address, result->port, why);
    else
        snprintf(out, size, "%s port %u: %s", address, result->port, why);
}

static void say_result(struct peers *peers, const struct sh_probe_result *result, bool reached)
{
    char address[INET6_ADDRSTRLEN] = "?";
    (void)inet_ntop(result->address.len == 4 ? AF_INET : AF_INET6, result->address.bytes, address,
                    sizeof(address));
    const struct sh_peer_facts facts = {.name = result->anchor->name,
                                        .address = address,
                                        .port = result->port,
                                        .rtt = result->has_rtt ? (int64_t)result->rtt : -1};
    struct sh_finding f = {.level = result->cause == SH_OK ? SH_FINE
                                    : reached              ? SH_WARNING
                                                           : SH_PROBLEM,
                           .cause = result->cause,
                           .peer = &facts};
    fill_text(result, address, f.text, sizeof(f.text));
    if (result->cause == SH_LINK_REFUSED)
        f.next = "Start `simhop share` on that device; if it shares, a firewall there rejects: "
                 "allow simhop in it.";
    peers->say("peer-address", &f, peers->user);
}

/* The device first, with the most telling of what its addresses came to. */
static void say_results(struct peers *peers, const struct sh_device *device)
{
    bool reached = false, answers = false;
    enum sh_cause cause = SH_OK;
    for (size_t i = 0; i < peers->result_count; i++) {
        const struct sh_probe_result *result = &peers->results[i];
        if (result->anchor != device)
            continue;
        reached = reached || reaches(result);
        answers = answers || result->answers;
        if (sh_path_telling(result->cause) > sh_path_telling(cause))
            cause = result->cause;
    }
    if (reached)
        say_device(peers, device, SH_FINE, SH_OK, "reached over a network");
    else
        say_device(peers, device, SH_PROBLEM, cause,
                   answers ? "answers, but cannot be used so" : "not reached over a network");
    for (size_t i = 0; i < peers->result_count; i++) {
        if (peers->results[i].anchor == device)
            say_result(peers, &peers->results[i], reached);
    }
}

/* ---- The probe and the world ---- */

static sh_ms on_now(void *user SH_UNUSED)
{
    return sh_now();
}

static enum sh_cause on_dial(const struct sh_attempt *attempt, void *user)
{
    struct sh_link *lan = ((struct peers *)user)->lan;
    return lan->driver->dial(lan, attempt);
}

static void on_cancel(unsigned attempt, void *user)
{
    struct sh_link *lan = ((struct peers *)user)->lan;
    lan->driver->cancel(lan, attempt);
}

static void on_result(const struct sh_probe_result *result, void *user)
{
    struct peers *peers = user;
    if (peers->result_count < SH_COUNT(peers->results))
        peers->results[peers->result_count++] = *result;
}

static void on_over(void *user)
{
    static const struct timeval leave = {.tv_usec = LEAVE_MS * 1000};
    event_base_loopexit(((struct peers *)user)->base, &leave);
}

static const struct sh_probe_ops probe_ops = {
    .now = on_now, .dial = on_dial, .cancel = on_cancel, .result = on_result, .over = on_over};

static void on_dialled(struct sh_link *link SH_UNUSED, unsigned attempt, struct sh_stream *stream,
                       void *user)
{
    sh_probe_dialled(((struct peers *)user)->probe, attempt, stream);
}

static void on_dial_failed(struct sh_link *link SH_UNUSED, unsigned attempt, enum sh_cause cause,
                           const struct sh_path_facts *facts, void *user)
{
    sh_probe_dial_failed(((struct peers *)user)->probe, attempt, cause, facts);
}

static const struct sh_link_ops link_ops = {.dialled = on_dialled, .dial_failed = on_dial_failed};

static void on_timer(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    static const struct timeval next = {.tv_usec = 50000};
    struct peers *peers = user;
    evtimer_add(peers->timer, &next);
    (void)sh_probe_tick(peers->probe, sh_now());
}

static enum sh_cause probe(struct peers *peers)
{
    static const struct timeval now = {.tv_sec = 0};
    peers->base = event_base_new();
    if (!peers->base)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_link_lan_new(peers->base, peers->doctor->common.wifi, NULL, NULL, &link_ops, peers,
                           &peers->lan));
    SH_TRY(sh_probe_new(peers->identity, (int64_t)time(NULL), peers->targets, peers->target_count,
                        &probe_ops, peers, &peers->probe));
    peers->timer = evtimer_new(peers->base, on_timer, peers);
    if (!peers->timer || evtimer_add(peers->timer, &now) != 0)
        return SH_ENV_NO_MEMORY;
    sh_probe_begin(peers->probe);
    /* waits: until the probe is over, which its own deadlines see to */
    if (event_base_dispatch(peers->base) < 0)
        return sh_fail(SH_INTERNAL_BUG, "the event loop failed");
    return SH_OK;
}

/* ---- Which devices ---- */

static bool is_meant(const struct peers *peers, const struct sh_device *device)
{
    const char *name = peers->doctor->peer_name;
    return !name || strcmp(device->name, name) == 0;
}

/* A device that can be dialled becomes a target; of another one it is said why not. alone: nothing else can be looked at. */
static void choose(struct peers *peers, const struct sh_device *device, bool alone)
{
    struct sh_probe_target *target = &peers->targets[peers->target_count];
    if (device->state == SH_DEVICE_REVOKED) {
        say_device(peers, device, SH_PROBLEM, SH_LINKED_REVOKED, "revoked");
    } else if (device->relation == SH_DEVICE_IS_SECONDARY) {
        say_device(peers, device, alone ? SH_PROBLEM : SH_WARNING, SH_LINK_ONLY_DIALS,
                   "cannot be dialled, as a secondary it takes no connections");
    } else if (device->state != SH_DEVICE_AUTHORISED) {
        say_device(peers, device, SH_PROBLEM, SH_LINKED_EXPIRED, "this device's token is over");
    } else if (sh_registry_get_addresses(peers->registry, device->id, &target->addresses) !=
               SH_OK) {
        say_device(peers, device, SH_PROBLEM, SH_LINK_NO_ADDRESS, "no address of it is known");
    } else {
        target->anchor = device;
        peers->target_count++;
    }
}

static enum sh_cause find(struct peers *peers)
{
    const struct sh_doctor *doctor = peers->doctor;
    size_t meant = 0, anchors = 0;
    if (!sh_doctor_wants_lan(doctor))
        return sh_fail(SH_LINK_NONE, "networks are switched off by --wifi none or --links");
    if (sh_doctor_has_file(doctor, "registry.db") && sh_doctor_has_file(doctor, "device.key")) {
        SH_TRY(sh_registry_open(doctor->common.state, &peers->registry));
        SH_TRY(sh_identity_load(doctor->common.state, &peers->identity));
        SH_TRY(sh_registry_list_devices(peers->registry, (int64_t)time(NULL), &peers->devices,
                                        &peers->device_count));
    }
    for (size_t i = 0; i < peers->device_count; i++) {
        meant += is_meant(peers, &peers->devices[i]);
        anchors += is_meant(peers, &peers->devices[i]) &&
                   peers->devices[i].relation == SH_DEVICE_IS_ANCHOR;
    }
    if (meant == 0 && doctor->peer_name)
        return sh_fail(SH_LINKED_UNKNOWN, "%s: no linked device has this name", doctor->peer_name);
    if (meant == 0)
        return sh_fail(SH_LINKED_UNKNOWN, "no device is linked");
    for (size_t i = 0; i < peers->device_count; i++) {
        if (!is_meant(peers, &peers->devices[i]))
            continue;
        meant--;
        choose(peers, &peers->devices[i], anchors == 0);
        if (peers->target_count == SH_PROBE_DEVICES)
            break;
    }
    if (meant > 0) {
        struct sh_finding f = sh_doctor_fine("%zu more, not tried: name one of them", meant);
        peers->say("peer", &f, peers->user);
    }
    return SH_OK;
}

static void clear(struct peers *peers)
{
    sh_probe_free(peers->probe);
    if (peers->lan)
        peers->lan->driver->free(peers->lan);
    if (peers->timer)
        event_free(peers->timer);
    if (peers->base)
        event_base_free(peers->base);
    sh_identity_freep(&peers->identity);
    sh_registry_close(peers->registry);
    free(peers->devices);
    free(peers);
}

void sh_doctor_peers(const struct sh_doctor *doctor, sh_doctor_say say, void *user)
{
    struct peers *peers = calloc(1, sizeof(*peers));
    if (!peers) {
        struct sh_finding f = sh_doctor_failed(SH_PROBLEM, SH_ENV_NO_MEMORY, NULL);
        say("peer", &f, user);
        return;
    }
    peers->doctor = doctor;
    peers->say = say;
    peers->user = user;
    sh_detail_clear();
    enum sh_cause cause = find(peers);
    if (cause == SH_OK && peers->target_count > 0)
        cause = probe(peers);
    if (cause != SH_OK)
        say_failed(peers, cause);
    for (size_t i = 0; cause == SH_OK && i < peers->target_count; i++)
        say_results(peers, peers->targets[i].anchor);
    clear(peers);
}
