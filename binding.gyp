# What `npm ci` builds in a checkout (package.json, prepare). Development builds: CMakeLists.txt.
# Both read csrc/sources.txt, here by .ci/addon-sources.mjs. It stays out of the package: users get
# the binary from prebuilds/.
{
  'variables': { 'openssl_fips': '' },
  'target_defaults': { 'default_configuration': 'Release' },
  'targets': [{
    'target_name': 'omendb',
    'sources': ['<!@(node .ci/addon-sources.mjs)'],
    'include_dirs': ['csrc'],
    'defines': [
      'NAPI_VERSION=9',
      'NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED',
      'NDEBUG',
    ],
    'cflags!': ['-fexceptions'],
    'cflags_cc!': ['-fexceptions', '-frtti', '-std=gnu++17', '-std=gnu++20'],
    # No fusing behind our back: a code computed on one processor must be the same on another.
    'cflags': ['-O3', '-ffp-contract=off', '-Wall', '-Wextra', '-Wno-unused-parameter', '-fvisibility=hidden'],
    'cflags_cc': ['-std=c++20', '-fno-exceptions', '-fno-rtti', '-fvisibility-inlines-hidden'],
    'conditions': [
      # Pinned at load: Node unloads an addon that only workers used while its threads still run.
      # The C++ runtime is inside, and exports.map keeps it from mixing with Node's own.
      ['OS=="linux"', {
        'cflags_cc': ['-Wno-restrict'],  # Wrong in GCC 12: PR 105329.
        'ldflags': [
          '-static-libstdc++',
          '-static-libgcc',
          '-Wl,-z,nodelete',
          '-Wl,--version-script=<(module_root_dir)/csrc/napi/exports.map',
        ],
        'libraries': ['-pthread'],
      }],
      ['OS=="mac"', {
        'xcode_settings': {
          'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
          'CLANG_CXX_LIBRARY': 'libc++',
          'GCC_ENABLE_CPP_EXCEPTIONS': 'NO',
          'GCC_ENABLE_CPP_RTTI': 'NO',
          'GCC_OPTIMIZATION_LEVEL': '3',
          'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
          'MACOSX_DEPLOYMENT_TARGET': '13.3',
          # cflags do not reach Xcode's settings.
          'OTHER_CFLAGS': ['-ffp-contract=off'],
          'OTHER_CPLUSPLUSFLAGS': ['-ffp-contract=off', '-fvisibility-inlines-hidden'],
        },
      }],
      ['OS=="win"', {
        'defines': [
          '_HAS_EXCEPTIONS=0',
          'NOMINMAX',
          'WIN32_LEAN_AND_MEAN',
          '_CRT_SECURE_NO_WARNINGS',
        ],
        'msvs_settings': {
          'VCCLCompilerTool': {
            'ExceptionHandling': 0,
            'RuntimeTypeInfo': 'false',
            'Optimization': 2,
            'AdditionalOptions': ['/std:c++20', '/utf-8', '/Zc:__cplusplus'],
          },
        },
      }],
    ],
  }],
}
