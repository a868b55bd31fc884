"""Texts that are known here; a part of `sources.SOURCES`, made like it."""
import functools

from assay.data.files import readers

SOURCES = {}

# Texts, each as it is unpacked: GSM8K (Cobbe et al., 2021; MIT), Tiny
# Shakespeare (Karpathy, 2015; public domain), validation and test text of
# WikiText-2 (Merity et al., 2016; CC BY-SA), SCAN (Lake and Baroni, 2018; BSD).
for _name, _file, _size, _sha256, _array_sha256 in (
    ('gsm8k/train', 'gsm8k/train.jsonl.gz', 1_338_335,
     'd52a31668743a4f18e4a284514e54eea07a06ae31fcf4293af2506c198c05bda',
     '17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465'),
    ('shakespeare', 'tiny_shakespeare/input.txt', 1_115_394,
     '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
     '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed'),
    ('wikitext/valid', 'wikitext2/valid.txt.gz', 373_475,
     '3cdd8cb5bb349a05840c7c3bef9578d90d64df77e27e0c25c033ba9342757ee3',
     'f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8'),
    ('wikitext/test', 'wikitext2/test.txt.gz', 410_944,
     '688887879b4b526692cb2e423a516dcc5f6584a01fd3f33a8e164fbed2de8090',
     'd790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0'),
    ('scan', 'scan/tasks.txt.gz', 189_697,
     'd5ff933715479a95cd1d53ae6a0cc5ef00beee0a67b036b7b3e2d3b2a5f5744d',
     'd824c7d9e9149ba497e25f701981dac79954e04bf670d22e5c209f076ac6c89f')):
  SOURCES[_name] = (dict(
      file=_file, size=_size, sha256=_sha256, array_sha256=_array_sha256,
      read=readers.read_text, url=None),)

# Questions of MMLU (Hendrycks et al., 2021; MIT), subjects that belong
# together. `moral_scenarios` is a template filled in and so left out.
_MMLU = {
    'law': ('6ca2cea0e1f0e4a7be654e4e00539700e8281952dce37f886a981c97ace1236f',
            'professional_law', 'jurisprudence', 'international_law'),
    'medicine': (
        '4bd70ed424fed33e847f57da55fdde064f1da0bc6acd92f2111734d390c50a31',
        'anatomy', 'clinical_knowledge', 'college_medicine', 'human_aging',
        'medical_genetics', 'nutrition', 'professional_medicine', 'virology'),
    'humanities': (
        '715346ada025451ddd143b94ec29981019963d240d079197a54ed6ca934ec28a',
        'logical_fallacies', 'moral_disputes', 'philosophy', 'prehistory',
        'sociology', 'us_foreign_policy', 'world_religions'),
    'mathematics': (
        '53c1ed6002f2c82b850070eee4a133ab19e41a75b4444d1b522d8f5076715366',
        'abstract_algebra', 'college_mathematics', 'elementary_mathematics',
        'high_school_mathematics', 'high_school_statistics'),
    'science': (
        '856d5badb95bc6b59fadf1a83746660f7c923dae7b1d92a810ce740941c4104b',
        'astronomy', 'college_chemistry', 'college_physics',
        'conceptual_physics', 'high_school_biology', 'high_school_chemistry',
        'high_school_physics')}
for _name, (_array_sha256, *_subjects) in _MMLU.items():
  SOURCES[f'mmlu/{_name}'] = (dict(
      file='mmlu/mmlu_dev_test.zip', size=2_083_036,
      sha256='8aaf951d913732ae4d807664bb23419f7b72df803fe5c28b7c4fd7829a451d16',
      array_sha256=_array_sha256, url=None, read=functools.partial(
          readers.read_questions, subjects=tuple(_subjects))),)
