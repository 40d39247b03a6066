/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/identity.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/cert.h"
#include "hex.h"

#define NOW          1800000000
#define autoidentity SH_CLEANUP(sh_identity_freep) struct sh_identity

/* A folder of its own for each test, with everything in it removed after it. */
struct place {
    char root[64];
    char state[96];
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    strcpy(place->root, "/tmp/simhop-identity-XXXXXX");
    if (!mkdtemp(place->root))
        return -1;
    snprintf(place->state, sizeof(place->state), "%s/a/state", place->root);
    *state = place;
    return 0;
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char path[512];
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            if (unlink(path) != 0)
                remove_folder(path);
        }
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static int teardown(void **state)
{
    struct place *place = *state;
    chmod(place->state, 0700);
    remove_folder(place->root);
    free(place);
    return 0;
}

static void path_in(const struct place *place, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", place->state, name);
}

static void put_file(const struct place *place, const char *name, const void *bytes, size_t n)
{
    char path[256];
    path_in(place, name, path);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_made_and_loaded_again(void **state)
{
    struct place *place = *state;
    autoidentity *first = NULL;
    autoidentity *second = NULL;
    assert_ok(sh_identity_load(place->state, &first));
    assert_ok(sh_identity_load_ca(first, place->state, NOW));
    assert_ok(sh_identity_load(place->state, &second));
    assert_null(second->ca_key);
    assert_ok(sh_identity_load_ca(second, place->state, NOW + 86400));
    assert_memory_equal(first->id, second->id, sizeof(first->id));
    assert_memory_equal(first->resolving_key, second->resolving_key, SH_RESOLVING_KEY_SIZE);
    assert_int_equal(EVP_PKEY_eq(first->key, second->key), 1);
    assert_int_equal(EVP_PKEY_eq(first->ca_key, second->ca_key), 1);
    assert_int_equal(X509_cmp(first->ca_cert, second->ca_cert), 0);
    assert_int_equal(X509_cmp(first->server_cert, second->server_cert), 0);
    assert_int_equal(EVP_PKEY_eq(first->key, first->ca_key), 0);
}

static void test_permissions(void **state)
{
    struct place *place = *state;
    static const char *const files[] = {"device.key", "ca.key", "ca.crt", "server.crt",
                                        "resolving.key"};
    char path[256];
    autoidentity *identity = NULL;
    mode_t before = umask(0);
    assert_ok(sh_identity_load(place->state, &identity));
    assert_ok(sh_identity_load_ca(identity, place->state, NOW));
    umask(before);
    assert_int_equal(mode_of(place->state), 0700);
    for (size_t i = 0; i < SH_COUNT(files); i++) {
        path_in(place, files[i], path);
        assert_int_equal(mode_of(path), 0600);
    }
    unsigned count = 0; /* and nothing of the making stays */
    DIR *dir = opendir(place->state);
    while (readdir(dir))
        count++;
    closedir(dir);
    assert_int_equal(count, SH_COUNT(files) + 2);
}

static void test_key_is_pkcs8(void **state)
{
    struct place *place = *state;
    char path[256], line[64] = "";
    autoidentity *identity = NULL;
    assert_ok(sh_identity_load(place->state, &identity));
    path_in(place, "device.key", path);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    assert_string_equal(line, "-----BEGIN PRIVATE KEY-----\n");
}

static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgu2Rp8JNfF/gICCAAw\n"
                                "-----END ENCRYPTED PRIVATE KEY-----\n";

static void test_damaged(void **state)
{
    struct place *place = *state;
    static const char *const files[] = {"device.key", "resolving.key", "ca.key", "ca.crt",
                                        "server.crt"};
    static const char long_text[5000] = "x";
    static const struct {
        const void *p;
        size_t n;
    } contents[] = {
        {"", 0}, {"rubbish\n", 8}, {encrypted, sizeof(encrypted) - 1}, {long_text, 5000}};
    for (size_t i = 0; i < SH_COUNT(files); i++) {
        for (size_t k = 0; k < SH_COUNT(contents); k++) {
            autoidentity *identity = NULL;
            char path[256];
            remove_folder(place->state);
            assert_ok(sh_identity_load(place->state, &identity));
            assert_ok(sh_identity_load_ca(identity, place->state, NOW));
            put_file(place, files[i], contents[k].p, contents[k].n);
            path_in(place, files[i], path);
            sh_detail_clear();
            if (i < 2) {
                autoidentity *again = NULL;
                assert_cause(sh_identity_load(place->state, &again), SH_ENV_KEY_DAMAGED);
                assert_null(again);
            } else {
                assert_cause(sh_identity_load_ca(identity, place->state, NOW), SH_ENV_KEY_DAMAGED);
                assert_null(identity->ca_key);
                assert_null(identity->ca_cert);
                assert_null(identity->server_cert);
            }
            assert_non_null(strstr(sh_detail(), path));
        }
    }
}

/* A certificate of another CA is as bad as rubbish, and so is a key of another kind. */
static void test_foreign(void **state)
{
    struct place *place = *state;
    autoidentity *identity = NULL;
    autoidentity *other = NULL;
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    assert_ok(sh_identity_load(place->state, &identity));
    assert_ok(sh_identity_load_ca(identity, place->state, NOW));
    assert_ok(sh_identity_new(NOW, &other));
    assert_ok(sh_cert_to_der(other->ca_cert, &der, &n));
    put_file(place, "ca.crt", der, n);
    assert_cause(sh_identity_load_ca(identity, place->state, NOW), SH_ENV_KEY_DAMAGED);

    autoidentity *third = NULL; /* for our key, but by another CA */
    sh_autofree uint8_t *foreign_der = NULL;
    X509 *foreign = NULL;
    remove_folder(place->state);
    assert_ok(sh_identity_load(place->state, &third));
    assert_ok(sh_identity_load_ca(third, place->state, NOW));
    assert_ok(sh_cert_server(other->ca_key, other->ca_cert, third->key, NOW, &foreign));
    assert_ok(sh_cert_to_der(foreign, &foreign_der, &n));
    X509_free(foreign);
    put_file(place, "server.crt", foreign_der, n);
    assert_cause(sh_identity_load_ca(third, place->state, NOW), SH_ENV_KEY_DAMAGED);

    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    char *pem = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, p384, NULL, NULL, 0, NULL, NULL);
    long length = BIO_get_mem_data(bio, &pem);
    put_file(place, "device.key", pem, (size_t)length);
    BIO_free(bio);
    EVP_PKEY_free(p384);
    autoidentity *again = NULL;
    assert_cause(sh_identity_load(place->state, &again), SH_ENV_KEY_DAMAGED);
}

static void test_server_cert_renewed(void **state)
{
    struct place *place = *state;
    autoidentity *identity = NULL;
    int64_t first = 0, second = 0;
    assert_ok(sh_identity_load(place->state, &identity));
    assert_ok(sh_identity_load_ca(identity, place->state, NOW));
    assert_ok(sh_cert_not_after(identity->server_cert, &first));
    assert_ok(sh_identity_load_ca(identity, place->state, first - 30 * 86400));
    assert_ok(sh_cert_not_after(identity->server_cert, &second));
    assert_int_equal(first, second);
    assert_ok(sh_identity_load_ca(identity, place->state, first - 30 * 86400 + 1));
    assert_ok(sh_cert_not_after(identity->server_cert, &second));
    assert_true(second > first);
    X509 *renewed = identity->server_cert;
    X509_up_ref(renewed);
    assert_ok(sh_identity_load_ca(identity, place->state, first)); /* it was kept */
    assert_int_equal(X509_cmp(renewed, identity->server_cert), 0);
    X509_free(renewed);
}

/* Root may write everywhere; without its capabilities it is an owner like any other. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return syscall(SYS_capset, &header, none) == 0;
}

/* In a process of its own, which gives up the rights of root if the tests have them. */
static bool load_without_rights(const char *folder, const char *detail)
{
    struct sh_identity *identity = NULL;
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        bool ok = geteuid() != 0 || drop_capabilities();
        ok = ok && sh_identity_load(folder, &identity) == SH_ENV_PERMISSION &&
             strstr(sh_detail(), detail);
        _exit(ok ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void test_read_only_folder(void **state)
{
    struct place *place = *state;
    char folder[80], deeper[96];
    snprintf(folder, sizeof(folder), "%s/ro", place->root);
    snprintf(deeper, sizeof(deeper), "%s/deeper", folder);
    assert_int_equal(mkdir(folder, 0555), 0);
    assert_int_equal(chmod(place->root, 0755), 0);
    assert_true(load_without_rights(folder, "/ro/device.key: "));
    assert_true(load_without_rights(deeper, "/ro/deeper: "));
}

static void test_folder_is_a_file(void **state)
{
    struct place *place = *state;
    autoidentity *identity = NULL;
    char path[80];
    snprintf(path, sizeof(path), "%s/file", place->root);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_cause(sh_identity_load(path, &identity), SH_STORE_IO_ERROR);
    strcat(path, "/x");
    assert_cause(sh_identity_load(path, &identity), SH_STORE_IO_ERROR);
}

/* Many processes start at once in an empty state: all are one device. */
static void test_race(void **state)
{
    struct place *place = *state;
    enum { RUNNERS = 8, SAID = SH_DEVICE_ID_SIZE + SH_RESOLVING_KEY_SIZE + SH_SERIAL_SIZE };
    uint8_t said[RUNNERS][SAID];
    int start[2], out[2];
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(out), 0);
    for (int i = 0; i < RUNNERS; i++) {
        if (fork() > 0)
            continue;
        struct sh_identity *identity = NULL;
        uint8_t mine[SAID];
        close(start[1]);
        bool ok = read(start[0], mine, 1) == 0; /* until the parent lets all go */
        ok = ok && sh_identity_load(place->state, &identity) == SH_OK &&
             sh_identity_load_ca(identity, place->state, NOW) == SH_OK &&
             sh_cert_serial(identity->ca_cert, mine + SH_DEVICE_ID_SIZE + SH_RESOLVING_KEY_SIZE) ==
                 SH_OK;
        if (ok) {
            memcpy(mine, identity->id, SH_DEVICE_ID_SIZE);
            memcpy(mine + SH_DEVICE_ID_SIZE, identity->resolving_key, SH_RESOLVING_KEY_SIZE);
        }
        ok = ok && write(out[1], mine, SAID) == SAID;
        sh_identity_free(identity);
        _exit(ok ? 0 : 1);
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < RUNNERS; i++) {
        int status = -1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < RUNNERS; i++) {
        assert_int_equal(read(out[0], said[i], SAID), SAID);
        assert_memory_equal(said[i], said[0], SAID);
    }
    close(out[0]);
    close(out[1]);
}

static void test_sign(void **state SH_UNUSED)
{
    autoidentity *a = NULL;
    autoidentity *b = NULL;
    sh_autofree uint8_t *key_a = NULL, *key_b = NULL, *signature = NULL;
    size_t key_a_n = 0, key_b_n = 0, n = 0;
    const struct sh_bytes text = SH_BYTES("a bundle", 8);
    assert_ok(sh_identity_new(NOW, &a));
    assert_ok(sh_identity_new(NOW, &b));
    assert_ok(sh_public_key_der(a->key, &key_a, &key_a_n));
    assert_ok(sh_public_key_der(b->key, &key_b, &key_b_n));
    assert_ok(sh_sign(a->key, "simhop1 bundle", text, &signature, &n));
    struct sh_bytes public = {key_a, key_a_n}, sig = {signature, n};
    assert_ok(sh_verify(public, "simhop1 bundle", text, sig));
    assert_cause(sh_verify(public, "simhop1 receipt", text, sig), SH_BUNDLE_BAD_SIGNATURE);
    assert_cause(sh_verify(public, "simhop1 bundle", SH_BYTES("a bundlf", 8), sig),
                 SH_BUNDLE_BAD_SIGNATURE);
    assert_cause(sh_verify(SH_BYTES(key_b, key_b_n), "simhop1 bundle", text, sig),
                 SH_BUNDLE_BAD_SIGNATURE);
    for (size_t i = 0; i < n; i++) {
        signature[i] ^= 1;
        assert_cause(sh_verify(public, "simhop1 bundle", text, sig), SH_BUNDLE_BAD_SIGNATURE);
        signature[i] ^= 1;
    }
    for (size_t i = 0; i < n; i++)
        assert_cause(sh_verify(public, "simhop1 bundle", text, SH_BYTES(signature, i)),
                     SH_BUNDLE_BAD_SIGNATURE);
    for (size_t i = 0; i < key_a_n; i++) {
        key_a[i] ^= 1;
        assert_cause(sh_verify(public, "simhop1 bundle", text, sig), SH_BUNDLE_BAD_SIGNATURE);
        key_a[i] ^= 1;
        assert_cause(sh_verify(SH_BYTES(key_a, i), "simhop1 bundle", text, sig),
                     SH_BUNDLE_BAD_SIGNATURE);
    }
}

/* OpenSSL cuts the bits that a BIT STRING calls unused: with a last octet that is even, a bent count of
 * them would be a second encoding of the same key. */
static void test_one_encoding_a_key(void **state SH_UNUSED)
{
    enum { UNUSED_BITS = 25 };
    sh_autofree uint8_t *key = NULL, *signature = NULL;
    size_t key_n = 0, n = 0;
    do {
        autoidentity *identity = NULL;
        free(key);
        free(signature);
        assert_ok(sh_identity_new(NOW, &identity));
        assert_ok(sh_public_key_der(identity->key, &key, &key_n));
        assert_ok(sh_sign(identity->key, "l", SH_BYTES("c", 1), &signature, &n));
    } while (key[key_n - 1] & 1);
    struct sh_bytes public = {key, key_n}, sig = {signature, n};
    assert_ok(sh_verify(public, "l", SH_BYTES("c", 1), sig));
    assert_int_equal(key[UNUSED_BITS], 0);
    key[UNUSED_BITS] = 1;
    assert_cause(sh_verify(public, "l", SH_BYTES("c", 1), sig), SH_BUNDLE_BAD_SIGNATURE);
}

/* The label's end is part of what is signed. */
static void test_label_is_delimited(void **state SH_UNUSED)
{
    autoidentity *a = NULL;
    sh_autofree uint8_t *key = NULL, *signature = NULL;
    size_t key_n = 0, n = 0;
    assert_ok(sh_identity_new(NOW, &a));
    assert_ok(sh_public_key_der(a->key, &key, &key_n));
    assert_ok(sh_sign(a->key, "ab", SH_BYTES("c", 1), &signature, &n));
    assert_cause(sh_verify(SH_BYTES(key, key_n), "a", SH_BYTES("bc", 2), SH_BYTES(signature, n)),
                 SH_BUNDLE_BAD_SIGNATURE);
}

static void test_verify_refuses_other_curves(void **state SH_UNUSED)
{
    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    sh_autofree uint8_t *key = NULL, *signature = NULL;
    size_t key_n = 0, n = 0;
    assert_false(sh_key_is_p256(p384));
    assert_false(sh_key_is_p256(NULL));
    assert_ok(sh_public_key_der(p384, &key, &key_n));
    assert_ok(sh_sign(p384, "l", SH_BYTES("c", 1), &signature, &n));
    assert_cause(sh_verify(SH_BYTES(key, key_n), "l", SH_BYTES("c", 1), SH_BYTES(signature, n)),
                 SH_BUNDLE_BAD_SIGNATURE);
    EVP_PKEY_free(p384);
}

/* The device id is what `openssl pkey -pubout -outform DER | sha256sum` says, cut. */
static void test_device_id(void **state SH_UNUSED)
{
    autoidentity *a = NULL;
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    uint8_t hash[32];
    assert_ok(sh_identity_new(NOW, &a));
    assert_ok(sh_public_key_der(a->key, &der, &n));
    unsigned char *openssl = NULL;
    assert_int_equal(n, 91);
    assert_int_equal(i2d_PUBKEY(a->key, &openssl), 91);
    assert_memory_equal(der, openssl, n);
    OPENSSL_free(openssl);
    const struct sh_bytes piece = {der, n};
    assert_ok(sh_sha256(&piece, 1, hash));
    assert_memory_equal(a->id, hash, SH_DEVICE_ID_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        IN_FOLDER(test_made_and_loaded_again),
        IN_FOLDER(test_permissions),
        IN_FOLDER(test_key_is_pkcs8),
        IN_FOLDER(test_damaged),
        IN_FOLDER(test_foreign),
        IN_FOLDER(test_server_cert_renewed),
        IN_FOLDER(test_read_only_folder),
        IN_FOLDER(test_folder_is_a_file),
        IN_FOLDER(test_race),
        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_one_encoding_a_key),
        cmocka_unit_test(test_label_is_delimited),
        cmocka_unit_test(test_verify_refuses_other_curves),
        cmocka_unit_test(test_device_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
