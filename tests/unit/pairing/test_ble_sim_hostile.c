/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The simulated radio among dead, silent, greedy and lying neighbours. */
#include "sim_world.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "pairing/sim_packet.h"

/* A socket of our own in the folder; bound when name is given. */
static int raw(const struct world *world, int type, const char *name)
{
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (name) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/%s", world->dir, name);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    }
    return fd;
}

static int raw_connect(const struct world *world, int fd, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/%s", world->dir, name);
    return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static void name_taken(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor;
    struct sh_ble *second = NULL;
    world_open(&world);
    device_open(&world, &anchor, "anchor");
    assert_int_equal(
        sh_ble_sim_new(world.base, anchor.files, world.dir, "anchor", &device_ops, NULL, &second),
        SH_ENV_NAME_TAKEN);
    static const char *const bad[] = {
        "",    ".a",       "a/b",
        "a b", "\xc3\xab", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < SH_COUNT(bad); i++)
        assert_int_equal(
            sh_ble_sim_new(world.base, anchor.files, world.dir, bad[i], &device_ops, NULL, &second),
            SH_USAGE_BAD_OPTION);
    assert_int_equal(
        sh_ble_sim_new(world.base, anchor.files, "/nonexistent", "b", &device_ops, NULL, &second),
        SH_ENV_NO_RADIO);
    /* A file that is no socket is somebody's, and stays. */
    world_file(&world, "other.l2cap", "mine");
    assert_int_equal(
        sh_ble_sim_new(world.base, anchor.files, world.dir, "other", &device_ops, NULL, &second),
        SH_ENV_NAME_TAKEN);
    /* One that is too busy to answer is alive. */
    int busy = raw(&world, SOCK_SEQPACKET, "busy.l2cap");
    int caller = raw(&world, SOCK_SEQPACKET, NULL);
    assert_int_equal(listen(busy, 0), 0);
    assert_int_equal(raw_connect(&world, caller, "busy.l2cap"), 0);
    assert_int_equal(
        sh_ble_sim_new(world.base, anchor.files, world.dir, "busy", &device_ops, NULL, &second),
        SH_ENV_NAME_TAKEN);
    close(busy);
    close(caller);
    assert_null(second);
    char path[600];
    snprintf(path, sizeof(path), "%s/other.l2cap", world.dir);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/other.air", world.dir);
    assert_int_equal(access(path, F_OK), -1);
    /* The first one is not harmed, and leaves nothing behind. */
    device_close(&anchor);
    snprintf(path, sizeof(path), "%s/anchor.air", world.dir);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof(path), "%s/anchor.l2cap", world.dir);
    assert_int_equal(access(path, F_OK), -1);
    world_close(&world);
}

static void stale_sockets(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    /* What a process that was killed leaves. */
    close(raw(&world, SOCK_DGRAM, "anchor.air"));
    int listener = raw(&world, SOCK_SEQPACKET, "anchor.l2cap");
    assert_int_equal(listen(listener, 5), 0);
    close(listener);
    close(raw(&world, SOCK_DGRAM, "dead.air"));
    world_pair(&world, &anchor, &tablet);
    assert_int_equal(tablet.ble->driver->scan(tablet.ble, true), SH_OK);
    WORLD_UNTIL(&world, tablet.heard > 0);
    device_close(&anchor);
    device_close(&tablet);
    world_close(&world);
}

static void long_path(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    char top[512];
    strcpy(top, world.dir);
    snprintf(world.dir, sizeof(world.dir), "%.100s/%0200d", top, 7);
    assert_int_equal(mkdir(world.dir, 0700), 0);
    world_pair(&world, &anchor, &tablet);
    sh_stream_send(tablet.end[0].stream, SH_BYTES("hello", 5));
    WORLD_UNTIL(&world, anchor.end[0].got_n == 5);
    device_close(&anchor);
    device_close(&tablet);
    world_close(&world);
    assert_int_equal(rmdir(top), 0);
}

static void silent_connections(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    int fd[200];
    world_open(&world);
    device_open(&world, &anchor, "anchor");
    device_open(&world, &tablet, "tablet");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    for (size_t i = 0; i < SH_COUNT(fd); i++) {
        fd[i] = raw(&world, SOCK_SEQPACKET, NULL);
        while (raw_connect(&world, fd[i], "anchor.l2cap") != 0) {
            assert_int_equal(errno, EAGAIN);
            world_run(&world, 5);
        }
    }
    /* Somebody honest gets in all the same, and nobody silent became a stream. */
    assert_int_equal(tablet.ble->driver->connect(tablet.ble, "anchor", 0x80, false), SH_OK);
    WORLD_UNTIL(&world, tablet.ends == 1 && anchor.ends == 1);
    /* Not all of them are kept at once. */
    char octet;
    size_t kept = 0;
    for (size_t i = 0; i < SH_COUNT(fd); i++)
        kept += recv(fd[i], &octet, 1, MSG_DONTWAIT) < 0;
    assert_true(kept <= SH_BLE_STREAMS);
    /* In the end all of them are shown out. */
    for (size_t i = 0; i < SH_COUNT(fd); i++) {
        WORLD_UNTIL(&world, recv(fd[i], &octet, 1, MSG_DONTWAIT) == 0);
        close(fd[i]);
    }
    assert_int_equal(anchor.ends, 1);
    sh_stream_send(tablet.end[0].stream, SH_BYTES("hello", 5));
    WORLD_UNTIL(&world, anchor.end[0].got_n == 5);
    device_close(&anchor);
    device_close(&tablet);
    world_close(&world);
}

static void most_streams(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    device_open(&world, &anchor, "anchor");
    device_open(&world, &tablet, "tablet");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    for (size_t i = 1; i <= SH_BLE_STREAMS; i++) {
        assert_int_equal(tablet.ble->driver->connect(tablet.ble, "anchor", 0x80, false), SH_OK);
        WORLD_UNTIL(&world, tablet.ends == i && anchor.ends == i);
    }
    assert_int_equal(tablet.ble->driver->connect(tablet.ble, "anchor", 0x80, false), SH_OK);
    WORLD_UNTIL(&world, tablet.connect_failed == 1);
    assert_int_equal(anchor.ends, SH_BLE_STREAMS);
    /* One that ends makes room, also before its user closes it. */
    sh_stream_close(tablet.end[3].stream);
    WORLD_UNTIL(&world, anchor.end[3].closed == 1);
    assert_int_equal(tablet.ble->driver->connect(tablet.ble, "anchor", 0x80, false), SH_OK);
    WORLD_UNTIL(&world, anchor.ends == SH_BLE_STREAMS + 1);
    device_close(&anchor);
    device_close(&tablet);
    world_close(&world);
}

/* Greets with these bytes; true if the anchor then ends the connection without having taken it. */
static void greeting_refused(struct world *world, struct device *anchor, const void *bytes,
                             size_t n)
{
    char octets[8];
    size_t ends = anchor->ends;
    int fd = raw(world, SOCK_SEQPACKET, NULL);
    assert_int_equal(raw_connect(world, fd, "anchor.l2cap"), 0);
    assert_int_equal(send(fd, bytes, n, 0), n);
    WORLD_UNTIL(world, recv(fd, octets, sizeof(octets), MSG_DONTWAIT) == 0);
    assert_int_equal(anchor->ends, ends);
    close(fd);
}

static void bad_greetings(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor;
    static const char long_name[300] =
        "sC\1\x80"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    world_open(&world);
    device_open(&world, &anchor, "anchor");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    greeting_refused(&world, &anchor, "x", 1);
    greeting_refused(&world, &anchor, "sC\2\x80tablet", 10);
    greeting_refused(&world, &anchor, "sC\1\x80", 4);
    greeting_refused(&world, &anchor, "sC\1\x80../etc", 10);
    greeting_refused(&world, &anchor,
                     "sC\1\x80"
                     "a\0b",
                     7);
    greeting_refused(&world, &anchor, long_name, 70);
    static uint8_t huge[5000];
    greeting_refused(&world, &anchor, huge, sizeof(huge));
    /* A good one, and then a packet longer than any chunk. */
    int fd = raw(&world, SOCK_SEQPACKET, NULL);
    assert_int_equal(raw_connect(&world, fd, "anchor.l2cap"), 0);
    assert_int_equal(send(fd, "sC\1\x80tablet", 10, 0), 10);
    WORLD_UNTIL(&world, anchor.ends == 1);
    assert_int_equal(send(fd, huge, sizeof(huge), 0), sizeof(huge));
    WORLD_UNTIL(&world, anchor.end[0].closed == 1);
    assert_int_equal(anchor.end[0].got_n, 0);
    close(fd);
    device_close(&anchor);
    world_close(&world);
}

/* Who leaves without having read our answer resets the socket; what it said before counts. */
static void last_words(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor;
    world_open(&world);
    device_open(&world, &anchor, "anchor");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    int fd = raw(&world, SOCK_SEQPACKET, NULL);
    assert_int_equal(raw_connect(&world, fd, "anchor.l2cap"), 0);
    assert_int_equal(send(fd, "sC\1\x80tablet", 10, 0), 10);
    WORLD_UNTIL(&world, anchor.ends == 1);
    assert_int_equal(send(fd, "bye", 3, 0), 3);
    close(fd);
    WORLD_UNTIL(&world, anchor.end[0].closed == 1);
    assert_int_equal(anchor.end[0].got_n, 3);
    assert_int_equal(anchor.end[0].cause, SH_CONNECT_LOST);
    device_close(&anchor);
    world_close(&world);
}

static void bad_datagrams(void **state SH_UNUSED)
{
    struct world world;
    struct device tablet;
    world_open(&world);
    device_open(&world, &tablet, "tablet");
    assert_int_equal(tablet.ble->driver->scan(tablet.ble, true), SH_OK);
    int fd = raw(&world, SOCK_DGRAM, NULL);
    assert_int_equal(raw_connect(&world, fd, "tablet.air"), 0);
    struct sh_sim_advert advert = {.name = "anchor", .channel = 38, .payload = test_payload()};
    uint8_t good[SH_SIM_ADVERT_MAX];
    uint8_t bad[2000] = {0};
    size_t n = sh_sim_advert_write(&advert, good);
    for (size_t cut = 0; cut < 14 + strlen("anchor"); cut++) {
        assert_int_equal(send(fd, good, cut, 0), cut);
        world_run(&world, 2);
    }
    static const struct {
        size_t at;
        uint8_t octet;
    } wrong[] = {{0, 'x'},  {2, 9},  {3, 0},    {3, 40},   {12, 61},
                 {12, 255}, {13, 0}, {13, 255}, {14, '/'}, {14, '.'}};
    for (size_t i = 0; i < SH_COUNT(wrong); i++) {
        memcpy(bad, good, n);
        bad[wrong[i].at] = wrong[i].octet;
        assert_int_equal(send(fd, bad, n, 0), n);
        world_run(&world, 2);
    }
    memcpy(bad, good, n);
    assert_int_equal(send(fd, bad, sizeof(bad), 0), sizeof(bad));
    world_run(&world, 20);
    assert_int_equal(tablet.heard, 0);
    assert_int_equal(send(fd, good, n, 0), n);
    WORLD_UNTIL(&world, tablet.heard == 1);
    close(fd);
    device_close(&tablet);
    world_close(&world);
}

/* A device whose process is stopped does not hold the advertiser up. */
static void stopped_hearer(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    world_file(&world, "air", "interval 10\n");
    int deaf = raw(&world, SOCK_DGRAM, "deaf.air"); /* bound, never read */
    device_open(&world, &anchor, "anchor");
    device_open(&world, &tablet, "tablet");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    world_run(&world, 600); /* fills the queue of whoever does not read, our own tablet's too */
    assert_int_equal(tablet.heard, 0);
    assert_int_equal(tablet.ble->driver->scan(tablet.ble, true), SH_OK);
    /* What was sent before the scan began is not heard. */
    world_run(&world, 1);
    assert_true(tablet.heard <= 5); /* the queue had at least ten */
    WORLD_UNTIL(&world, tablet.heard >= 20);
    close(deaf);
    device_close(&anchor);
    device_close(&tablet);
    world_close(&world);
}

/* Out of descriptors: no spinning, and it goes on when there are some again. */
static void no_descriptors(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor;
    struct rlimit before;
    world_open(&world);
    device_open(&world, &anchor, "anchor");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    int fd = raw(&world, SOCK_SEQPACKET, NULL);
    world_run(&world, 20);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)fd + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(raw_connect(&world, fd, "anchor.l2cap"), 0);
    assert_int_equal(send(fd, "sC\1\x80tablet", 10, 0), 10);
    struct rusage start, end;
    getrusage(RUSAGE_SELF, &start);
    world_run(&world, 500);
    getrusage(RUSAGE_SELF, &end);
    long ms = (end.ru_utime.tv_sec - start.ru_utime.tv_sec) * 1000 +
              (end.ru_utime.tv_usec - start.ru_utime.tv_usec) / 1000 +
              (end.ru_stime.tv_sec - start.ru_stime.tv_sec) * 1000 +
              (end.ru_stime.tv_usec - start.ru_stime.tv_usec) / 1000;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(ms < 250);
    assert_int_equal(anchor.ends, 0);
    WORLD_UNTIL(&world, anchor.ends == 1);
    close(fd);
    device_close(&anchor);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_taken),     cmocka_unit_test(stale_sockets),
        cmocka_unit_test(long_path),      cmocka_unit_test(silent_connections),
        cmocka_unit_test(most_streams),   cmocka_unit_test(bad_greetings),
        cmocka_unit_test(last_words),     cmocka_unit_test(bad_datagrams),
        cmocka_unit_test(stopped_hearer), cmocka_unit_test(no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
