/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pairing/sim_carrier.h"

static char folder[64];
static struct sh_air_files *files;
static struct sh_sim_carrier carrier;
static sh_ms now;

/* What came out: octets that arrive, in order, and what happened. */
static uint8_t out[1 << 20];
static size_t out_n, lost_n;
static unsigned chunks, last_delay;

static int set_up(void **state SH_UNUSED)
{
    strcpy(folder, "/tmp/simhop-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    now = 1000;
    return sh_sim_carrier_init(&carrier, 1) == SH_OK ? 0 : -1;
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int tear_down(void **state SH_UNUSED)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/faults", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/air", folder);
    unlink(path);
    sh_sim_carrier_clear(&carrier);
    sh_air_files_close(files);
    files = NULL;
    return rmdir(folder);
}

static void with_faults(const char *faults)
{
    put("air", "ble_rate 0\n");
    put("faults", faults);
    assert_int_equal(sh_air_files_open(folder, &files), SH_OK);
    out_n = lost_n = chunks = 0;
}

static void queue(const void *bytes, size_t n)
{
    assert_int_equal(evbuffer_add(carrier.queue, bytes, n), 0);
}

/* Takes all that can be taken now; how it ended. */
static enum sh_sim_step take(void)
{
    struct sh_sim_chunk chunk;
    for (;;) {
        enum sh_sim_step step = sh_sim_carrier_step(&carrier, files, now, &chunk);
        if (step != SH_SIM_TAKEN)
            return step;
        assert_in_range(chunk.n, 1, SH_SIM_CHUNK);
        chunks++;
        last_delay = chunk.delay_ms;
        if (chunk.lost) {
            lost_n += chunk.n;
            continue;
        }
        memcpy(out + out_n, chunk.bytes, chunk.n);
        out_n += chunk.n;
    }
}

/* hello, pake-share-p, pake-done, and then TLS that looks like a hello. */
static const uint8_t talk[] = {1,   0,   0, 3, 'a', 'b', 'c', 4, 0, 0, 2,
                               'x', 'y', 8, 0, 0,   0,   1,   0, 0, 1, 'T'};

static void no_faults(void **state SH_UNUSED)
{
    with_faults("");
    queue(talk, sizeof(talk));
    assert_int_equal(take(), SH_SIM_IDLE);
    assert_int_equal(out_n, sizeof(talk));
    assert_memory_equal(out, talk, sizeof(talk));
    assert_int_equal(chunks, 4); /* a message each, so that a fault finds it alone */
    assert_int_equal(carrier.sent, sizeof(talk));
}

/* The same octets whatever pieces they come in. */
static void any_pieces(void **state SH_UNUSED)
{
    with_faults("drop message:pake-share-p 100\n");
    for (size_t piece = 1; piece <= sizeof(talk); piece++) {
        sh_sim_carrier_clear(&carrier);
        assert_int_equal(sh_sim_carrier_init(&carrier, 1), SH_OK);
        out_n = lost_n = 0;
        for (size_t at = 0; at < sizeof(talk); at += piece) {
            queue(talk + at, SH_MIN(piece, sizeof(talk) - at));
            assert_int_equal(take(), SH_SIM_IDLE);
        }
        assert_int_equal(lost_n, 6);
        assert_int_equal(out_n, sizeof(talk) - 6);
        assert_memory_equal(out, talk, 7);
        assert_memory_equal(out + 7, talk + 13, sizeof(talk) - 13);
    }
}

static void message_faults(void **state SH_UNUSED)
{
    with_faults("blackhole message:hello\ndelay message:pake-done 30\n");
    queue(talk, 13);
    assert_int_equal(take(), SH_SIM_IDLE);
    assert_memory_equal(out, talk + 7, 6);
    assert_int_equal(last_delay, 0);
    queue(talk + 13, 4);
    assert_int_equal(take(), SH_SIM_IDLE);
    assert_int_equal(last_delay, 30);
    queue(talk + 17, 5); /* after pake-done nothing is a message */
    assert_int_equal(take(), SH_SIM_IDLE);
    assert_int_equal(out_n, sizeof(talk) - 7);
    assert_int_equal(last_delay, 0);
}

static void cut_in_message(void **state SH_UNUSED)
{
    with_faults("cut message:pake-share-p after 5\n");
    queue(talk, sizeof(talk));
    assert_int_equal(take(), SH_SIM_CUT);
    assert_int_equal(out_n, 7 + 5);
}

static void opaque_is_never_a_message(void **state SH_UNUSED)
{
    with_faults("drop message:hello 100\n");
    /* An unknown type, one that belongs inside TLS, a length over the cap. */
    static const uint8_t first[][4] = {{0x77, 0, 0, 1}, {0x16, 3, 1, 0}, {1, 0xff, 0xff, 0xff}};
    for (size_t i = 0; i < SH_COUNT(first); i++) {
        sh_sim_carrier_clear(&carrier);
        assert_int_equal(sh_sim_carrier_init(&carrier, 1), SH_OK);
        out_n = 0;
        queue(first[i], 4);
        queue(talk, sizeof(talk));
        assert_int_equal(take(), SH_SIM_IDLE);
        assert_int_equal(out_n, 4 + sizeof(talk));
    }
}

static void cut_and_blackhole_after(void **state SH_UNUSED)
{
    static uint8_t data[5000];
    memset(data, 0xaa, sizeof(data));
    with_faults("blackhole ble after 3000\ncut ble after 4500\n");
    queue(data, sizeof(data));
    assert_int_equal(take(), SH_SIM_CUT);
    assert_int_equal(out_n, 3000);
    assert_int_equal(lost_n, 1500);
    assert_int_equal(take(), SH_SIM_CUT);
}

static void cut_without_bytes(void **state SH_UNUSED)
{
    with_faults("cut ble\n");
    assert_int_equal(take(), SH_SIM_CUT);
}

static void drops_a_part(void **state SH_UNUSED)
{
    static uint8_t data[1000 * SH_SIM_CHUNK];
    memset(data, 0xaa, sizeof(data));
    with_faults("drop ble 30\n");
    queue(data, sizeof(data));
    assert_int_equal(take(), SH_SIM_IDLE);
    assert_in_range(lost_n / SH_SIM_CHUNK, 250, 350);
    /* The same again in the next run. */
    size_t lost = lost_n;
    lost_n = out_n = 0;
    sh_sim_carrier_clear(&carrier);
    assert_int_equal(sh_sim_carrier_init(&carrier, 1), SH_OK);
    queue(data, sizeof(data));
    assert_int_equal(take(), SH_SIM_IDLE);
    assert_int_equal(lost_n, lost);
}

/* The rate over ten seconds of a virtual clock; the fault's is the one that counts. */
static void holds_the_rate(void **state SH_UNUSED)
{
    static const struct {
        const char *air, *faults;
        size_t low, high;
    } cases[] = {
        {"ble_rate 20000\n", "", 195000, 202000},
        {"ble_rate 20000\n", "rate ble 1000\n", 9900, 10100},
        {"ble_rate 20000\n", "rate ble 10\n", 90, 120},
        {"ble_rate 20000\n", "rate ble 100000000\n", 800000, 800000},
        {"", "", 800000, 800000},
    };
    static uint8_t data[800000];
    memset(data, 0xaa, sizeof(data));
    for (size_t i = 0; i < SH_COUNT(cases); i++) {
        sh_sim_carrier_clear(&carrier);
        sh_air_files_close(files);
        assert_int_equal(sh_sim_carrier_init(&carrier, 1), SH_OK);
        with_faults(cases[i].faults);
        put("air", cases[i].air);
        sh_air_files_refresh(files, now);
        sh_air_files_refresh(files, now + 50); /* an empty file counts once it stays so */
        queue(data, sizeof(data));
        sh_ms end = now + 10000;
        struct sh_sim_chunk chunk;
        while (now <= end) {
            enum sh_sim_step step = sh_sim_carrier_step(&carrier, files, now, &chunk);
            if (step == SH_SIM_IDLE)
                break;
            if (step == SH_SIM_TAKEN) {
                out_n += chunk.n;
                continue;
            }
            assert_true(chunk.wait_ms > 0);
            now += chunk.wait_ms;
        }
        assert_in_range(out_n, cases[i].low, cases[i].high);
        now = end + 1000;
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_faults),
        TEST(any_pieces),
        TEST(message_faults),
        TEST(cut_in_message),
        TEST(opaque_is_never_a_message),
        TEST(cut_and_blackhole_after),
        TEST(cut_without_bytes),
        TEST(drops_a_part),
        TEST(holds_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
