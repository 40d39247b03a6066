/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A folder with a simulated air and two or more radios in one event base, for the tests of ble_sim.
 * Header-only, since a unit test is one file.
 */
#ifndef SIMHOP_TEST_SIM_WORLD_H
#define SIMHOP_TEST_SIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pairing/ble_sim.h"
#include "system/clock.h"

/* One stream as its user sees it. */
struct end {
    struct sh_stream *stream;
    uint8_t *got;
    size_t got_n, got_size;
    unsigned writable, closed;
    enum sh_cause cause;
    bool close_in_rx, close_in_closed;
};

/* One device. */
struct device {
    struct sh_air_files *files;
    struct sh_ble *ble;
    struct end end[SH_BLE_STREAMS + 8];
    size_t ends;
    unsigned heard;
    double heard_sum;
    char heard_from[SH_BLE_ADDRESS];
    uint8_t heard_payload[64];
    size_t heard_payload_n;
    unsigned samples;
    double sample_sum;
    unsigned connect_failed;
    enum sh_cause connect_cause;
    bool free_when_heard, refuse;
};

struct world {
    char dir[512];
    struct event_base *base;
};

static inline void end_rx(struct sh_bytes bytes, void *user)
{
    struct end *end = user;
    if (end->got_n + bytes.n > end->got_size) {
        end->got_size = (end->got_n + bytes.n) * 2;
        end->got = realloc(end->got, end->got_size);
        assert_non_null(end->got);
    }
    memcpy(end->got + end->got_n, bytes.p, bytes.n);
    end->got_n += bytes.n;
    if (end->close_in_rx)
        sh_stream_close(end->stream);
}

static inline void end_writable(void *user)
{
    ((struct end *)user)->writable++;
}

static inline void end_closed(enum sh_cause cause, void *user)
{
    struct end *end = user;
    end->closed++;
    end->cause = cause;
    if (end->close_in_closed)
        sh_stream_close(end->stream);
}

static const struct sh_stream_ops end_ops = {end_rx, end_writable, end_closed};

static inline void device_heard(const struct sh_ble_heard *heard, void *user)
{
    struct device *device = user;
    device->heard++;
    device->heard_sum += heard->rssi_dbm;
    strcpy(device->heard_from, heard->address);
    device->heard_payload_n = heard->payload.n;
    assert_true(heard->payload.n <= sizeof(device->heard_payload));
    memcpy(device->heard_payload, heard->payload.p, heard->payload.n);
    if (device->free_when_heard) {
        device->ble->driver->free(device->ble);
        device->ble = NULL;
    }
}

static inline void device_stream(struct sh_stream *stream, bool incoming SH_UNUSED, void *user)
{
    struct device *device = user;
    if (device->refuse) {
        sh_stream_close(stream);
        return;
    }
    assert_true(device->ends < SH_COUNT(device->end));
    struct end *end = &device->end[device->ends++];
    end->stream = stream;
    stream->ops = &end_ops;
    stream->user = end;
}

static inline void device_connect_failed(enum sh_cause cause, void *user)
{
    struct device *device = user;
    device->connect_failed++;
    device->connect_cause = cause;
}

static inline void device_rssi(struct sh_stream *stream SH_UNUSED, int dbm, void *user)
{
    struct device *device = user;
    device->samples++;
    device->sample_sum += dbm;
}

static inline void device_failed(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED)
{
    fail_msg("the radio failed");
}

static const struct sh_ble_ops device_ops = {.heard = device_heard,
                                             .stream = device_stream,
                                             .connect_failed = device_connect_failed,
                                             .rssi = device_rssi,
                                             .failed = device_failed};

static inline void world_file(const struct world *world, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline void world_open(struct world *world)
{
    strcpy(world->dir, "/tmp/simhop-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->base = event_base_new();
    assert_non_null(world->base);
}

static inline void world_close(struct world *world)
{
    event_base_free(world->base);
    DIR *dir = opendir(world->dir);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] != '.')
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(world->dir), 0);
}

static inline void device_open(struct world *world, struct device *device, const char *name)
{
    *device = (struct device){0};
    assert_int_equal(sh_air_files_open(world->dir, &device->files), SH_OK);
    assert_int_equal(sh_ble_sim_new(world->base, device->files, world->dir, name, &device_ops,
                                    device, &device->ble),
                     SH_OK);
}

static inline void device_close(struct device *device)
{
    if (device->ble)
        device->ble->driver->free(device->ble);
    sh_air_files_close(device->files);
    for (size_t i = 0; i < device->ends; i++)
        free(device->end[i].got);
}

/* Runs the loop for so long. */
static inline void world_run(struct world *world, unsigned ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    assert_int_equal(event_base_loopexit(world->base, &tv), 0);
    event_base_dispatch(world->base);
}

/* Runs the loop until the condition holds; fails after 20 s. */
#define WORLD_UNTIL(world, condition)                                                              \
    do {                                                                                           \
        sh_ms until_end_ = sh_now() + 20000;                                                       \
        while (!(condition)) {                                                                     \
            if (sh_now() > until_end_)                                                             \
                fail_msg("never: %s", #condition);                                                 \
            world_run((world), 5);                                                                 \
        }                                                                                          \
    } while (0)

static inline struct sh_bytes test_payload(void)
{
    static uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert advert = {.version = 1, .psm = 0x80, .ref1m_dbm = -59, .id = {1, 2, 3}};
    return SH_BYTES(payload, sh_advert_encode(&advert, payload));
}

/* A listening device "anchor" and a "tablet" connected to it. */
static inline void world_pair(struct world *world, struct device *anchor, struct device *tablet)
{
    device_open(world, anchor, "anchor");
    device_open(world, tablet, "tablet");
    assert_int_equal(anchor->ble->driver->advertise(anchor->ble, test_payload(), 0), SH_OK);
    assert_int_equal(tablet->ble->driver->connect(tablet->ble, "anchor", 0x80, false), SH_OK);
    WORLD_UNTIL(world, anchor->ends == 1 && tablet->ends == 1);
}

#endif
