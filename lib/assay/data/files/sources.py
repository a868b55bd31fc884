"""The files that are known here, with their checksums and publishers."""
import functools
import pathlib

from assay.data.files import prepared, readers, text_sources

# The mirror that torchvision reads.
MNIST_URL = 'https://ossci-datasets.s3.amazonaws.com/mnist/'
FASHION_MNIST_URL = (
    'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/')
# The collection of the authors of LSTNet, as it stood in 2018.
SERIES_URL = ('https://raw.githubusercontent.com/laiguokun/'
              'multivariate-time-series-data/'
              '7f402f185cc2435b5e66aed13a3b560ed142e023/')
KMNIST_URL = 'http://codh.rois.ac.jp/kmnist/dataset/kmnist/'
TRAIN_BATCHES = tuple(f'data_batch_{i}' for i in range(1, 6))


def _idx(file, base_url, size, sha256, array_sha256):
  """The one alternative of a gzipped idx file; see `SOURCES`."""
  return (
      dict(file=file, size=size, sha256=sha256, array_sha256=array_sha256,
           read=readers.read_idx,
           url=base_url and base_url + pathlib.Path(file).name),)


def _cifar10(file, size, sha256, array_sha256, read, read_binary):
  """A lossless copy of a part of CIFAR-10, or else the publisher's archive."""
  # Its bytes were not seen here. The publisher gives their md5,
  # c32a1d4ab5d03f1284b67883e8d87530; what counts is the sha256 of the pixels.
  return (
      dict(file=file, size=size, sha256=sha256, array_sha256=array_sha256,
           read=read, url=None),
      dict(file='cifar10/cifar-10-binary.tar.gz', size=None, sha256=None,
           array_sha256=array_sha256, read=read_binary,
           url='https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz'))


def _cifar10_images(batch, size, sha256, array_sha256):
  return _cifar10(f'cifar10/{batch}.webp', size, sha256, array_sha256,
                  readers.read_sheet,
                  functools.partial(readers.read_binary_images, batch=batch))


def _cifar10_labels(key, batches, array_sha256):
  return _cifar10(
      'cifar10/labels.npz', 385_336,
      'eb313c5cb3b505067d4cb9247efb6f24aef03e8e66db5ab32ba520d5add53d2a',
      array_sha256, functools.partial(readers.read_npz, key=key),
      functools.partial(readers.read_binary_labels, batches=batches))


def _one(file, size, sha256, array_sha256, read, key=None, url=None):
  """The one alternative of a sheet, or of an array in an npz or MATLAB file."""
  return (dict(file=file, size=size, sha256=sha256, array_sha256=array_sha256,
               read=functools.partial(read, key=key) if key else read,
               url=url),)


# Each name has alternatives, the preferred one first: `file` relative to the
# data folder; `size` in bytes and `sha256` of the file, None where no one here
# has seen those bytes or copies differ; `array_sha256`, see `array_sha256`;
# `read`; `url`; where none of the checksums is known `blob`, what Git calls the
# bytes: sha1 of 'blob SIZE\0' and them. The last may be what `_prepared` says.
SOURCES = {
    # Airfoil Self-Noise (Brooks, Pope and Marcolini, 1989). UCI, CC BY 4.0.
    # Frequency [Hz], angle of attack [deg], chord [m], velocity [m/s],
    # displacement thickness [m], sound pressure level [dB].
    'airfoil': (
        dict(
            file='c_mixup/airfoil_self_noise.dat',
            size=59_984,
            sha256='74c75fd71783f1e6b71f8a622b993dc5'
                   '92897a97cd689c5090a07147a1b097b3',
            array_sha256='11fab2c660f61031935f9995d27929df'
                         '39a175d3551271b397c8aa254b19b6b6',
            read=functools.partial(readers.read_numbers, columns=6),
            url='https://archive.ics.uci.edu/ml/machine-learning-databases/'
                '00291/airfoil_self_noise.dat'),
    ),
    # NO2 at Alnabru, Oslo (Aldrin, StatLib, 2004). No license stated. Log NO2,
    # log cars an hour, temperature [C], wind speed [m/s], temperature at 25 m
    # less that at 2 m [C], wind direction [deg], hour of day, day.
    'no2': (
        dict(
            file='c_mixup/no2.csv',
            size=22_405,
            sha256='0420af1d0f07ff6e613827e0e0e613ee'
                   'e4c56fefa6aebfe9fd95fac2830ad2ae',
            array_sha256='bd1b8af1ca812b6bfdc779fa35076dad'
                         '34a53a4c1bdacf7a2160616808deb855',
            read=functools.partial(readers.read_numbers, columns=8),
            url=None),
        # The same numbers as the publisher writes them.
        dict(
            file='c_mixup/NO2.dat',
            size=None,
            sha256=None,
            array_sha256='bd1b8af1ca812b6bfdc779fa35076dad'
                         '34a53a4c1bdacf7a2160616808deb855',
            read=functools.partial(readers.read_numbers, columns=8),
            url='http://lib.stat.cmu.edu/datasets/NO2.dat'),
    ),
    # Communities and Crime, normalized (Redmond, 2009). UCI, CC BY 4.0. State,
    # county, community, its name, fold, 122 predictors, violent crimes by head.
    'crime': (
        dict(
            file='c_mixup/communities.data',
            size=1_100_821,
            sha256='d90d85bd66bad9a00fa0ed6c15ac017b'
                   '5966d528e55ba2940ad028d071353f95',
            array_sha256='ed8bbacaab905cd792802098d82c0a83'
                         'c18db0c3f36a754054c5cea94bae540c',
            read=functools.partial(readers.read_cells, columns=128, texts=(3,)),
            url='https://archive.ics.uci.edu/ml/machine-learning-databases/'
                'communities/communities.data'),
    ),
    # SkillCraft1 Master Table (Blair, Thompson, Henrey and Chen, 2013). UCI, CC
    # BY 4.0. Game, league and 18 columns that the file names.
    'skillcraft': (
        dict(
            file='c_mixup/SkillCraft1_Dataset.csv',
            size=500_257,
            sha256='84f913e1af3ddd4dd29d82c33d54c057'
                   '9ca4a0a71cd5ff865372d26b2533112e',
            array_sha256='ee34ea68f34666ffeba27301f70f3197'
                         '23fd2a914027859249d2ed61d38199e1',
            read=functools.partial(readers.read_cells, columns=20),
            url='https://archive.ics.uci.edu/ml/machine-learning-databases/'
                '00272/SkillCraft1_Dataset.csv'),
    ),
    # Daily exchange rates of eight countries, 1990 to 2016 (Lai et al., 2018).
    # No license stated.
    'exchange_rate': (
        dict(
            file='c_mixup/exchange_rate.txt.gz',
            size=177_142,
            sha256='6a4fbb561dcdee43f071a83badbeec92'
                   '23a335552278348656738b556f1c2e9d',
            array_sha256='104309475f8e69b4df233c35c706ee6b'
                         '1b6a5719ea39eb4ad9fbe5ce55b97a82',
            read=functools.partial(readers.read_numbers, columns=8,
                                   gzipped=True),
            url=SERIES_URL + 'exchange_rate/exchange_rate.txt.gz'),
    ),
    # Hourly consumption of 321 clients, 2012 to 2014 (Trindade, UCI, CC BY 4.0;
    # as Lai et al. converted it). No one here has seen it: what is known is
    # what the publisher's Git calls its bytes.
    'electricity': (
        dict(
            file='c_mixup/electricity.txt.gz',
            size=None,
            sha256=None,
            array_sha256=None,
            blob='df158a9fff65428ece107200432a72c992d5e4e9',
            read=functools.partial(readers.read_numbers, columns=321,
                                   gzipped=True),
            url=SERIES_URL + 'electricity/electricity.txt.gz'),
    ),
    # MNIST (LeCun, Cortes and Burges, 1998). CC BY-SA 3.0 as commonly stated.
    # Copies of the first file differ in the time stamp that gzip wrote.
    'mnist/train_images': _idx(
        'mnist/train-images-idx3-ubyte.gz', MNIST_URL, None, None,
        '741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757'),
    'mnist/train_labels': _idx(
        'mnist/train-labels-idx1-ubyte.gz', MNIST_URL, 28_881,
        '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c',
        '1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13'),
    'mnist/test_images': _idx(
        'mnist/t10k-images-idx3-ubyte.gz', MNIST_URL, 1_648_877,
        '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
        '6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161'),
    'mnist/test_labels': _idx(
        'mnist/t10k-labels-idx1-ubyte.gz', MNIST_URL, 4_542,
        'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6',
        'ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5'),
    # Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017). MIT, Zalando SE.
    'fashion_mnist/train_images': _idx(
        'fashion_mnist/train-images-idx3-ubyte.gz', FASHION_MNIST_URL,
        26_421_880,
        '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84',
        '2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012'),
    'fashion_mnist/train_labels': _idx(
        'fashion_mnist/train-labels-idx1-ubyte.gz', FASHION_MNIST_URL, 29_515,
        'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845',
        '657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7'),
    'fashion_mnist/test_images': _idx(
        'fashion_mnist/t10k-images-idx3-ubyte.gz', FASHION_MNIST_URL,
        4_422_102,
        '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073',
        'c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a'),
    'fashion_mnist/test_labels': _idx(
        'fashion_mnist/t10k-labels-idx1-ubyte.gz', FASHION_MNIST_URL, 5_148,
        '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5',
        '3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9'),
    # Kuzushiji-MNIST, test set (Clanuwat et al., 2018; CODH). CC BY-SA 4.0.
    'kmnist/test_images': _one(
        'kmnist/kmnist-test-imgs.npz', 3_079_479,
        '692d824896bec8f3c357ebf7a0fe904ed67ac632ce953d0b58f7fbef7bb27d87',
        'dc10e73c6e83fb3fb3586eafece217ab6602e7825fa7d49399359bde3fc66f07',
        readers.read_npz, 'arr_0', KMNIST_URL + 'kmnist-test-imgs.npz'),
    'kmnist/test_labels': _one(
        'kmnist/kmnist-test-labels.npz', 5_304,
        '660f13a4705431ea2a6391c41ecbe384cd0d932c595a101ec4f3b8989e785046',
        '77d83a49ca5434c5da77399edc7143065cb3a7b0834e2898ea3094e8c2b21a3c',
        readers.read_npz, 'arr_0', KMNIST_URL + 'kmnist-test-labels.npz'),
    # notMNIST, a test set of letters A to J (Bulatov, 2011). No license stated.
    'notmnist/test_images': _idx(
        'notmnist/t10k-images-idx3-ubyte.gz', None, 3_172_375,
        '70ae9e06201f2827e5b0a3781a3169d735dd2efc69996b9eeaee7f10ed4044d7',
        '6bda48464effe4169d9cd068967cd81a717ae2f925ddb55fd71025e23022ee9a'),
    'notmnist/test_labels': _idx(
        'notmnist/t10k-labels-idx1-ubyte.gz', None, 5_118,
        '1fa03836e01c862542f8eb83463bb951bebec6fcb3efa28dad748c6b38a9021b',
        'cbf49d96931f5bf9ec86d14ed2f729c2870d4f9b406729e43c68d3748a345369'),
    # USPS digits, 11,000 images of 16 x 16 (Roweis' version). No license
    # stated. Labels are 1 to 10, of which 1 is the digit 0.
    'usps/images': _one(
        'usps/USPS.mat', 1_576_274,
        '9f09eec7eba5872888b3e78373595cd7fd97d32e28b996be8c65eab068c874f2',
        '69d30a4af4a99d4ae647b8de9dc7273190948ede59e0cff702b23178b0253b66',
        readers.read_mat, 'fea'),
    'usps/labels': _one(
        'usps/USPS.mat', 1_576_274,
        '9f09eec7eba5872888b3e78373595cd7fd97d32e28b996be8c65eab068c874f2',
        '1aa8db21ca959387415e220df6de74e91c48ca75b445a968607cb5099cc47dcf',
        readers.read_mat, 'gnd'),
    # CIFAR-10 (Krizhevsky, 2009). No license stated; the publisher asks for
    # citation.
    'cifar10/data_batch_1': _cifar10_images(
        'data_batch_1', 17_107_164,
        '7862ba6f532eb26481636723b49a74914d0a8186dde88a2afa9047668b1214b8',
        'fc115a3de050d667b88cbd5b0b9612ebf996c54230fe7758f3a14bb5af9a1c27'),
    'cifar10/data_batch_2': _cifar10_images(
        'data_batch_2', 17_149_322,
        '223eb5388d46cd9050b630ada011bb521e9e66e56f8922c4e3c90068bfb4de74',
        '89e609b642f687bc796fa3bfa4211005582a0e8131d463d996d11ddb297d312e'),
    'cifar10/data_batch_3': _cifar10_images(
        'data_batch_3', 17_159_702,
        '72340f10fb016c6a6f645cbf5e19c99d4d83b500574b3838a6850d00fc20b354',
        '93a365823e61729490a8801d80864ccd0ab1e8c98f19d71af65644d1c5f1486e'),
    'cifar10/data_batch_4': _cifar10_images(
        'data_batch_4', 17_131_960,
        'b5646e97fe600f24a0e4662426280aa23704f9e04033e7beab0808a51212f814',
        '809eb95ecd057a36516318f5023ea619009dd70dd38193db9da43125a928e6fa'),
    'cifar10/data_batch_5': _cifar10_images(
        'data_batch_5', 17_112_624,
        '20fd741c090103a8703cd393ed42c0b9bb55c84a099564b3a290171531a473f9',
        'd05b7d66d216d6df882cc760cdc0ff2f1f0437abf699ed16005c021ef0add9cb'),
    'cifar10/test_batch': _cifar10_images(
        'test_batch', 17_141_804,
        '5fb7e1221ce9526ce00d6f53ad5e520f96044b42580400979c573f910e687a8e',
        'f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04'),
    'cifar10/train_labels': _cifar10_labels(
        'train', TRAIN_BATCHES,
        '2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253'),
    'cifar10/test_labels': _cifar10_labels(
        'test', ('test_batch',),
        'cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5'),
    # CIFAR-100 (Krizhevsky, 2009): the test set and the first 100 training
    # images of each class, by class and file name, not as published.
    'cifar100_fifth/train_images': _one(
        'cifar100/train_first100.webp', 17_236_020,
        'e4db50f0c339b992e6d620b293955365fe4c8bf33637015f83470740f0e3ec27',
        '51913235509657e94fd9b43782710c7973ac9de9b23ba5d867318d73bd48fb9f',
        readers.read_sheet),
    'cifar100_fifth/train_labels': _one(
        'cifar100/labels.npz', 85_204,
        'd454b01fdb9e680bb5a02e1038bd77afed56ffdb658036b4d82b0b8f4da1905b',
        '7335f3ca04ad4876c5479947470a13b869b8fe2143b1077bb51b95a0c23892b1',
        readers.read_npz, 'train_first100'),
    'cifar100_fifth/test_images': _one(
        'cifar100/test.webp', 17_306_620,
        '7d24c03b7e951ab72b8737d36d25c962eff5339728420cdf3b80f5b2144473ac',
        '2716d826d85ee9ca7f948fb4dc3b3d7515225d1a436d1c4b7e6975855da3d9ee',
        readers.read_sheet),
    'cifar100_fifth/test_labels': _one(
        'cifar100/labels.npz', 85_204,
        'd454b01fdb9e680bb5a02e1038bd77afed56ffdb658036b4d82b0b8f4da1905b',
        '7335f3ca04ad4876c5479947470a13b869b8fe2143b1077bb51b95a0c23892b1',
        readers.read_npz, 'test'),
}

# Nine regression sets and their splits (Hernandez-Lobato and Adams, 2015), in
# one file: folder in it, checksum of the table, checksum of the splits. UCI, CC
# BY 4.0; of `boston` (StatLib), `kin8nm` (DELVE) and the splits none is stated.
_UCI = {
    'yacht': ('yacht',
        'ec08588637fd93582116a1ead33f0c1e787dae755168073608e030e5282a3f4e',
        '195ac4db2e519e19d455020c7b1a1091333aa12b9b33d7fa5a9dd95770ef4285'),
    'boston': ('bostonHousing',
        '832e894115c56dd24ec63848d4a3d9bd921d268d0be1bee2a8f4ee5ea318f5f7',
        'ef5cc5da8cab98a32184994513ffa05a1c9718bf4d5b838622776985d7957c57'),
    'energy': ('energy',
        '3563209cb65c108b72e6ee45f56f12e53c3f346f10b6b30a79ec5b7c0a0a1dd9',
        'de445051fb9b7815ce246b36eda4d8f1843eeb44a1f19a99bd194fcbab653ba9'),
    'concrete': ('concrete',
        'd0e2d2f0f50277624d7d00b98c4e8b66465e8d5f2f51738500552b8b10a4689b',
        'f434567d31fa31e3db076afb21e1e4d78ffaf791bd3d9f30b46997d4fcafd3e7'),
    'wine': ('wine-quality-red',
        'd4f6a6d672e0ee31d41fdd93b4b58985b45a31f2f971499c18137c42229278ac',
        'd14bd6af85cbd0efe302e4ef531d3fe056a22694f75627844f3ad673396b346a'),
    'kin8nm': ('kin8nm',
        '7fad37438fc1228ed099177766b084fb5577bf7457d7a6460f8d0389b21681ab',
        '9df3df4f09167f9f513a783dff902d9cfc95ede36e83b953d7088f84c188e4b8'),
    'power_plant': ('power-plant',
        'd3c75624ea5df1256c9b8e81560e1f9381014565c5f558d3293831fa521b82e9',
        'dc2de687ae51f6cfbfe1b9f0ca8fa716c3690abc6226f3f4989a7b9653c8aa1a'),
    'naval': ('naval-propulsion-plant',
        '9e29f1dd09537ec700018dd325ce9a5ba43552398a4eb97379784e2b86e4ee42',
        'd610d4df40e60cc8df7800d20fc7261e3ac1288e99fb8376b5ada3da0c15dab3'),
    'protein': ('protein-tertiary-structure',
        '19667c545027b658fa8b2fa3620154e7046b3d263df1ec263514676eb3585096',
        '8c73f524b7e78b45372218e81a5b2ff20c7b8e7c89b37e0239f7c0a920a714c6'),
}
_UCI_FILE = dict(
    file='uci_regression/uci_regression_splits.zip', size=4_935_727,
    sha256='e93225267fcb32e4770b9090c48ba29e539ba32dcf36270ef1f3ad6221170851',
    url=None)
for _name, (_folder, _table_sha256, _splits_sha256) in _UCI.items():
  SOURCES[f'uci/{_name}'] = (_UCI_FILE | dict(
      array_sha256=_table_sha256, read=functools.partial(
          readers.read_zipped_numbers, member=f'{_folder}/data/data.txt')),)
  SOURCES[f'uci/{_name}/splits'] = (_UCI_FILE | dict(
      array_sha256=_splits_sha256, read=functools.partial(
          readers.read_splits, folder=_folder)),)
SOURCES |= text_sources.SOURCES



def _prepared():
  """(source, set of TensorFlow Datasets, split, feature, shape, start)."""
  for name, sizes, shape in (
      ('mnist', (60_000, 10_000), (28, 28)),
      ('fashion_mnist', (60_000, 10_000), (28, 28)),
      ('kmnist', (60_000, 10_000), (28, 28)),
      ('cifar100', (50_000, 10_000), (32, 32, 3)),
      ('svhn_cropped', (73_257, 26_032), (32, 32, 3))):
    for split, size in zip(('train', 'test'), sizes, strict=True):
      yield f'{name}/{split}_images', name, split, 'image', (size, *shape), 0
      yield f'{name}/{split}_labels', name, split, 'label', (size,), 0
  for batch, split, start in (
      *((batch, 'train', 10_000 * i) for i, batch in enumerate(TRAIN_BATCHES)),
      ('test_batch', 'test', 0)):
    yield (f'cifar10/{batch}', 'cifar10', split, 'image', (10_000, 32, 32, 3),
           start)
  for split, size in (('train', 50_000), ('test', 10_000)):
    yield f'cifar10/{split}_labels', 'cifar10', split, 'label', (size,), 0


# Of a set that no one here has seen whole there is no checksum: who reads it
# checks counts by class.
for _source, _name, *_where in _prepared():
  _known = SOURCES.get(_source, ())
  SOURCES[_source] = (*_known, dict(
      tfds=_name, array_sha256=_known[0]['array_sha256'] if _known else None,
      read=functools.partial(prepared.read, **dict(zip(
          ('split', 'feature', 'shape', 'start'), _where, strict=True)))))
